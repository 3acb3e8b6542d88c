import csv
import json

from django.core.management.base import BaseCommand, CommandError

from rebalancer import exports
from rebalancer.management.output import printing
from rebalancer.models import Batch, Entry


class Command(BaseCommand):
    help = "Writes one table of a batch to standard output."

    def add_arguments(self, parser):
        parser.add_argument("id", type=int, metavar="ID")
        parser.add_argument("--what", choices=list(exports.COLUMNS), required=True)
        parser.add_argument("--format", choices=["csv", "json"], default="csv")

    def handle(self, *, id, what, format, **options):
        if not Batch.objects.filter(pk=id).exists():
            raise CommandError(f"There is no batch {id}.")
        rows = exports.rows(what, Entry.objects.filter(batch=id))
        write = {"csv": self._csv, "json": self._json}[format]
        with printing(self.stdout):
            write(exports.COLUMNS[what], rows)

    def _csv(self, columns, rows):
        writer = csv.writer(self.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)

    def _json(self, columns, rows):
        """A list of objects, one a line."""
        separator = "["
        for row in rows:
            self.stdout.write(separator, ending="\n")
            self.stdout.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False), ending="")
            separator = ","
        self.stdout.write("\n]" if separator == "," else "[]", ending="\n")
