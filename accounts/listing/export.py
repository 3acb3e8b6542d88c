"""A table as CSV: every row under the filter, the chosen columns, plain decimals, ISO dates and the firm's times."""

import csv
from datetime import datetime

from django.http import StreamingHttpResponse
from django.utils import timezone

CHUNK = 2000


class _Echo:
    """A file for csv.writer that hands each line back instead of keeping it."""

    def write(self, line):
        return line


def csv_of(table_class, queryset, layout, filename):
    """A streamed CSV of `queryset`; memory does not grow with its length."""
    names = table_class.filed_names(layout.shown)
    rows = queryset.values(*table_class.fields_of(names)).iterator(chunk_size=CHUNK)
    return csv_of_rows({name: table_class.base_columns[name] for name in names}, _in_zone(rows), filename)


def csv_of_rows(columns, rows, filename):
    """A streamed CSV of rows that are at hand: `columns` are {name: Column}, each row is {name: value}."""
    response = StreamingHttpResponse(_lines(columns, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _in_zone(rows):
    """The rows with moments in the zone of the request, which is over by the time the rows are read."""
    zone = timezone.get_current_timezone()
    return ({name: _local(value, zone) for name, value in row.items()} for row in rows)


def _local(value, zone):
    return value.astimezone(zone) if isinstance(value, datetime) else value


def _lines(columns, rows):
    writer = csv.writer(_Echo())
    yield writer.writerow([column.verbose_name for column in columns.values()])
    for row in rows:
        yield writer.writerow([column.plain(row, name) for name, column in columns.items()])
