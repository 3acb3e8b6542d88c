from django.core.management.base import BaseCommand, CommandError

from rebalancer.book.writing import COLUMNS, Book
from rebalancer.management.progress import Bar

MOST = {"accounts": 10_000_000, "positions": 500, "lots": 1_000}


class Command(BaseCommand):
    help = "Writes a synthetic book as CSV files. The same arguments give the same bytes, on any machine."
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("folder", metavar="DIR")
        parser.add_argument("--accounts", type=int, required=True, metavar="N")
        parser.add_argument("--positions", type=int, required=True, metavar="P", help="about so many of each account")
        parser.add_argument("--lots", type=int, required=True, metavar="L",
                            help="of each position; fewer where it has fewer steps than that")  # fmt: skip
        parser.add_argument("--seed", type=int, required=True, metavar="S")

    def handle(self, folder, accounts, positions, lots, seed, **options):
        for name, value in (("accounts", accounts), ("positions", positions), ("lots", lots)):
            if not 1 <= value <= MOST[name]:
                raise CommandError(f"--{name} is {value}; it has to be from 1 to {MOST[name]:,}.")
        bar = Bar(self.stderr, "generate_book", "accounts")
        try:
            rows = Book(accounts, positions, lots, seed).write(folder, lambda done: bar.show(done / accounts, done))
        except OSError as error:
            raise CommandError(f"{folder} can't be written: {error.strerror or error}") from error
        bar.end(accounts)
        self.stderr.write(", ".join(f"{name}.csv {rows[name]:,}" for name in COLUMNS))
