from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from accounts.listing.figures import plural
from accounts.services.refusals import Refused
from trading.services import files


class Command(BaseCommand):
    help = "Reads a custodian's file of fills; it is taken whole or refused whole, and twice is as good as once."

    def add_arguments(self, parser):
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--custodian", metavar="NAME", help="whose file it is (default: the only one with files)")

    def handle(self, file, custodian=None, **options):
        path = Path(file)
        try:
            received = files.receive_fills(path.read_bytes(), path.name, custodian=_custodian(custodian), by=None)
        except OSError as error:
            raise CommandError(f"{file} can't be read: {error.strerror}") from error
        except Refused as refused:
            raise CommandError(str(refused)) from refused
        for line, column, value, reason in received.file.problems:
            where = f"line {line}" if line else "the file"
            self.stderr.write(f"{where}{f', {column}' if column else ''}:{f' {value!r}' if value else ''} {reason}")
        if received.file.problems:
            raise CommandError(f"Refused: {path.name}. Nothing of it was taken.")
        self.stdout.write(_words(received))


def _custodian(name):
    known = {one.name: one for one in files.custodians_by_file()}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name not in known:
        raise CommandError(f"--custodian is one of those to whom files go: {', '.join(known) or 'there is none yet'}.")
    return known[name]


def _words(received):
    if received.again:
        return f"{received.file.name} was read before: nothing has changed."
    found = files.outcome(received.file)
    questioned = f", {len(found.questioned):,} of them questioned" if found.questioned else ""
    return f"{received.file.name}: {plural(found.new, 'new fill')}, {found.repeated:,} told before{questioned}."
