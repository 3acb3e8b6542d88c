from django.core.management.base import BaseCommand, CommandError

from accounts.listing.figures import plural
from rebalancer.management.arguments import day
from rebalancer.management.progress import Bar
from rebalancer.services import deliveries
from trading.sessions import last_completed_session


class Progress:
    """A bar for each file; reading is half of the way."""

    def __init__(self, out):
        self.out, self.bar = out, None

    def reading(self, name, done, total, rows):
        self._bar(name).show(done / max(total, 1) / 2, rows)

    def ended(self, file):
        words = "" if file.taken else f"REFUSED: {plural(file.problems.total, 'problem')}"
        self._bar(file.name).end(file.rows, words)
        for problem in file.problems:
            self.out.write(f"  {file.name}, {problem}")
        if file.problems.unnamed:
            self.out.write(f"  {file.name}: and {file.problems.unnamed:,} more; {file.problems.total:,} in all")

    def _bar(self, name):
        if self.bar is None or self.bar.label != name:
            self.bar = Bar(self.out, name, "rows")
        return self.bar


class Command(BaseCommand):
    help = "Reads the files of a book (CSV) as one delivery; each file is taken whole or refused whole."

    def add_arguments(self, parser):
        parser.add_argument("folder", metavar="DIR")
        parser.add_argument("--as-of", type=day, metavar="DATE", help="the session (default: the last completed one)")

    def handle(self, folder, as_of=None, **options):
        try:
            session = deliveries.session_of(as_of) if as_of else last_completed_session()
            self.stderr.write(f"Delivery of {session} from {folder}")
            outcome = deliveries.receive(folder, session, progress=Progress(self.stderr))
        except deliveries.NoDelivery as none:
            raise CommandError(str(none)) from none
        left = [f"{name} is no file of a book, and was left alone" for name in deliveries.strangers_in(folder)]
        for remark in [*outcome.remarks, *left]:
            self.stderr.write(remark)
        if outcome.refused:
            names = ", ".join(file.name for file in outcome.refused)
            stale = plural(outcome.stale, "account")
            unable = f" {stale} can't be checked until it is put right." if outcome.stale else ""
            raise CommandError(f"Refused: {names}.{unable}")
