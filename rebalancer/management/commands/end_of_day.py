from django.core.management.base import BaseCommand

from accounts.listing.figures import plural
from rebalancer.services import days


class Command(BaseCommand):
    help = "Ends the day now: cancels what was opened and not approved, and what was staged and not confirmed."

    def handle(self, **options):
        counts = days.end_of_day()
        self.stderr.write(
            f"{plural(counts['batches'], 'batch', 'batches')} cancelled; "
            f"staged orders of {plural(counts['tickets'], 'ticket')} cancelled; "
            f"{plural(counts['not_traded'], 'account')} not traded"
        )
