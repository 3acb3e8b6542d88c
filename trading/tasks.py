"""The worker's side: each task asks a service to do what a row says is to be done, so a message lost or delivered twice
changes nothing."""

from celery import shared_task

from trading.feeds.base import FeedDown
from trading.services import quotes


@shared_task(soft_time_limit=60, time_limit=90)
def refresh_prices():
    """Every 10 seconds: ask the feed for prices if its last answer is old. What it fails on, the settings say."""
    try:
        quotes.refresh_if_due()
    except FeedDown:
        pass
