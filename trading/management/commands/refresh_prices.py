from django.core.management.base import BaseCommand, CommandError

from trading.feeds.base import FeedDown
from trading.services import quotes


class Command(BaseCommand):
    help = "Asks the firm's price feed now, and prints how many securities it was asked for and what came of it."

    def handle(self, **options):
        try:
            counts = quotes.refresh()
        except FeedDown as down:
            raise CommandError(f"No new prices: {down}") from down
        for name, count in counts.as_dict().items():
            self.stdout.write(f"{name}\t{count}")
