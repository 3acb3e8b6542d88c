"""The worker's side: each task asks a service to do what a row says is to be done, so a message lost or delivered twice
changes nothing."""

from celery import shared_task

from trading.feeds.base import FeedDown
from trading.services import quotes, transmitting, watching


@shared_task(soft_time_limit=60, time_limit=90)
def refresh_prices():
    """Every 10 seconds: ask the feed for prices if its last answer is old. What it fails on, the settings say."""
    try:
        quotes.refresh_if_due()
    except FeedDown:
        pass


@shared_task
def transmit(ticket_id):
    """Send what is due of a ticket that was just confirmed."""
    watching.book_moves(ticket_id)
    transmitting.send_due(ticket_id)


@shared_task
def watch():
    """Every 5 seconds: a round over all orders that are under way."""
    watching.watch()


@shared_task
def ask(order_id):
    """Look after one order now: a person has asked for it."""
    watching.look_after(order_id)
