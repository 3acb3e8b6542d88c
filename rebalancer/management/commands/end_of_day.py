from django.core.management.base import BaseCommand

from rebalancer.services import days


class Command(BaseCommand):
    help = "Ends the day now: cancels what was opened and not approved, and what was staged and not confirmed."

    def handle(self, **options):
        counts = days.end_of_day()
        self.stderr.write(
            f"{counts['batches']:,} requests cancelled; staged orders of {counts['tickets']:,} tickets cancelled; "
            f"{counts['not_traded']:,} accounts were not traded"
        )
