from django.core.management.base import BaseCommand

from rebalancer.management.arguments import business_day
from rebalancer.management.output import printing
from rebalancer.management.progress import Bar
from rebalancer.selectors import TILES
from rebalancer.services import analysing
from rebalancer.states import Status


class Command(BaseCommand):
    help = "Runs the drift analysis of all open accounts now, and prints how many have each tile and status."

    def add_arguments(self, parser):
        parser.add_argument("--as-of", type=business_day, metavar="DATE", help="the business day (default: today)")

    def handle(self, *, as_of, **options):
        bar = Bar(self.stderr, "drift analysis", "accounts")
        seen = 0

        def progress(done, total):
            nonlocal seen
            seen = done
            bar.show(done / max(total, 1), done)

        counts = analysing.analyse(as_of, progress=progress)
        bar.end(seen)
        with printing(self.stdout):
            for kind, names in (("tile", TILES.values()), ("status", Status.labels)):
                for name in names:
                    self.stdout.write(f"{kind}\t{name}\t{counts[name]}")
