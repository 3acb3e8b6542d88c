"""The message queue's side: one Celery app, and the beats that everything timed hangs on."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("rebalancer")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# A beat that nobody was there to hear is worth nothing once the next one sounds, hence the expiry.
app.conf.beat_schedule = {
    "tick": {"task": "rebalancer.tasks.tick", "schedule": 60.0, "options": {"expires": 60}},
    "sweep": {"task": "rebalancer.tasks.sweep", "schedule": 15.0, "options": {"expires": 15}},
    "watch": {"task": "trading.tasks.watch", "schedule": 5.0, "options": {"expires": 5}},
    "prices": {"task": "trading.tasks.refresh_prices", "schedule": 10.0, "options": {"expires": 10}},
}
