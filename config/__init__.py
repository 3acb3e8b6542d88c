"""Settings, addresses and processes of the rebalancer. Importing the Celery app here makes every task use it."""

from .celery import app as celery_app

__all__ = ["celery_app"]
