"""Tables of list pages: declared as django-tables2 tables, drawn by our own row template from `values()` rows.

A column says which fields it needs, how a cell looks (`cell`) and what a file gets (`plain`). tables2 keeps the
declaration; its rendering cell by cell is not used, for speed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import django_tables2
from django.db.models import F
from django.urls import reverse
from django.utils.safestring import mark_safe

from . import figures
from .markup import escaped, markup

SPREADSHEET_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Column(django_tables2.Column):
    """A column of text.

    field      the field it shows and sorts by (default: its name); `fields` are others that its drawing needs
    link       name of the address that the cell leads to, made with the row's `link_key`
    draw       function of the row that gives the cell's HTML instead; `text` likewise for files
    optional   the field may be unknown: such rows come last in either order
    """

    css = ""

    def __init__(self, header, field=None, *, fields=(), link=None, link_key="pk", draw=None, text=None,
                 optional=False, orderable=None, title="", css=None):  # fmt: skip
        super().__init__(verbose_name=header, accessor=field, orderable=orderable)
        self.fields, self.link, self.link_key = tuple(fields), link, link_key
        self.draw, self.text, self.optional, self.title = draw, text, optional, title
        self.css = self.css if css is None else css
        self.field = field

    def needs(self, name):
        """Names of the fields that a row must hold for this column."""
        own = () if self.draw and self.field is None else (self.field or name,)
        return (*own, *self.fields, *((self.link_key,) if self.link else ()))

    def cell(self, row, name):
        """The cell as HTML (or plain text that the template escapes)."""
        if self.draw is not None:
            return self.draw(row)
        shown = self.worded(row[self.field or name])
        if self.link is None:
            return shown
        return markup('<a href="{}">{}</a>', reverse(self.link, args=[row[self.link_key]]), shown)

    def worded(self, value):
        return figures.UNKNOWN if value in (None, "") else value

    def plain(self, row, name):
        """The value for a file: text, plain decimals, ISO dates; empty when unknown."""
        if self.text is not None:
            return _harmless(self.text(row))
        value = row[self.field or name] if self.field or self.draw is None else None
        return "" if value is None else self.filed(value)

    def filed(self, value):
        return _harmless(str(value))

    def ordering(self, name, descending):
        """What `order_by` needs: the field, unknown last, ties by key so that pages never overlap."""
        field = F(self.field or name)
        return field.desc(nulls_last=self.optional or None) if descending else field.asc(), "pk"


class TitledColumn(Column):
    """Text that may be cut short in the table, whole on hover."""

    css = "clip"

    def worded(self, value):
        return markup('<span title="{0}">{0}</span>', value) if value else figures.UNKNOWN


class NumberColumn(Column):
    css = "num"

    def filed(self, value):
        return f"{value:f}" if hasattr(value, "as_tuple") else str(value)


class MoneyColumn(NumberColumn):
    """Dollars: two places, separators, parentheses when negative."""

    def worded(self, value):
        return figures.money(value)


class CountColumn(NumberColumn):
    def worded(self, value):
        return figures.count_text(value)


class QuantityColumn(NumberColumn):
    """Shares, with as many places as they have."""

    def worded(self, value):
        return figures.quantity_text(value)


class PriceColumn(NumberColumn):
    def worded(self, value):
        return figures.price_text(value)


class PercentColumn(NumberColumn):
    """Percent of V, stored as percent."""

    def worded(self, value):
        return figures.percent_text(value)


class PointsColumn(NumberColumn):
    def worded(self, value):
        return figures.points_text(value)


class DayColumn(Column):
    css = "day"

    def worded(self, value):
        return figures.day_text(value)

    def filed(self, value):
        return value.isoformat()


class MomentColumn(Column):
    """A moment in the firm's zone; files get it with its offset."""

    css = "day"

    def worded(self, value):
        return figures.clock_text(value)

    def filed(self, value):
        return value.isoformat()


class ChoiceColumn(Column):
    """A stored value shown by its label; `badges` maps values to a badge's class (up, down, warn, info, quiet)."""

    def __init__(self, header, field=None, *, choices, badges=None, **options):
        super().__init__(header, field, **options)
        self.labels, self.badges = dict(choices), badges or {}

    def worded(self, value):
        label = self.labels.get(value, figures.UNKNOWN if value in (None, "") else value)
        return badge(label, self.badges[value]) if value in self.badges else label

    def filed(self, value):
        return _harmless(str(self.labels.get(value, value)))


@dataclass(frozen=True)
class Row:
    """One drawn row: its key, its cells as (column's class, HTML), and whether it can be selected."""

    pk: int
    cells: Sequence[tuple[str, str]]
    css: str
    selectable: bool
    label: str

    @property
    def html(self):
        """All its cells."""
        return mark_safe("".join([f'<td class="{css}">{cell}</td>' for css, cell in self.cells]))

    def whole(self, box):
        """The row with all around its cells; `box`: there is one to select it by."""
        css = f' class="{escaped(self.css)}"' if self.css else ""
        return f'<tr id="row-{self.pk}"{css}>{self.box if box else ""}{self.html}</tr>'

    @property
    def box(self):
        disabled = "" if self.selectable else " disabled"
        return (
            f'<td class="box"><input type="checkbox" class="form-check-input" value="{self.pk}" data-pick '
            f'aria-label="Select {escaped(self.label)}"{disabled}></td>'
        )


class ListTable(django_tables2.Table):
    """A table of a list page. `fixed` columns stay in front; `default` names those shown at first (None: all);
    `in_files` says which columns a file has in place of one that is drawn.
    """

    fixed: tuple[str, ...] = ()
    default: tuple[str, ...] | None = None
    in_files: dict[str, tuple[str, ...]] = {}
    sort = ""
    row_fields: tuple[str, ...] = ()
    noun = ("account", "accounts")

    def __init__(self, drawn):
        # Not tables2's own, which copies every column for a drawing that is not used.
        self.drawn = drawn

    @property
    def rows_html(self):
        """All rows as HTML: what a template would make of them one by one, in a fifth of the time."""
        return mark_safe("\n".join([row.whole(box=False) for row in self.drawn]))

    @property
    def rows_with_boxes(self):
        return mark_safe("\n".join([row.whole(box=True) for row in self.drawn]))

    def row_css(self, row):
        """Class of the row: "muted" for what is out of play."""
        return ""

    def row_selectable(self, row):
        return True

    def row_label(self, row):
        """What the row's box is called for screen readers."""
        return " ".join(str(self.base_columns[name].plain(row, name)) for name in self.fixed)

    @classmethod
    def can_sort(cls, sort):
        column = cls.base_columns.get(sort.removeprefix("-"))
        return column is not None and column.orderable is not False

    @classmethod
    def sorted(cls, queryset, sort):
        """The rows in order, ties by key; without `sort` the table's own."""
        wanted = sort or cls.sort
        if not wanted:
            return queryset.order_by("pk")
        name = wanted.removeprefix("-")
        return queryset.order_by(*cls.base_columns[name].ordering(name, wanted.startswith("-")))

    @classmethod
    def fields_of(cls, names):
        """The fields to ask the database for, to draw these columns: one list for `values()`."""
        needed = ["pk", *cls.row_fields]
        for name in dict.fromkeys((*cls.fixed, *names)):
            needed += cls.base_columns[name].needs(name)
        return list(dict.fromkeys(needed))

    @classmethod
    def filed_names(cls, names):
        """The columns of a file that has these columns of the page, each once."""
        return tuple(dict.fromkeys(one for name in names for one in cls.in_files.get(name, (name,))))

    @classmethod
    def laid_out(cls, rows, layout, sort):
        """A table over rows that are sorted already, with the columns of a layout."""
        table = cls([])
        columns = [(name, cls.base_columns[name], cls.css_of(name)) for name in layout.shown]
        table.drawn += [table.draw(row, columns) for row in rows]
        return table

    @classmethod
    def css_of(cls, name):
        """The class of a column's cells: its own, and its place among the fixed ones, which stay in view."""
        css = cls.base_columns[name].css
        return f"{css} pin pin-{cls.fixed.index(name) + 1}".strip() if name in cls.fixed else css

    def draw(self, row, columns):
        cells = [(css, escaped(column.cell(row, name))) for name, column, css in columns]
        return Row(row["pk"], cells, self.row_css(row), self.row_selectable(row), self.row_label(row))


def badge(text, kind="quiet"):
    """A state in a small coloured box: up, down, warn, info or quiet."""
    return markup('<span class="state state-{}">{}</span>', kind, text)


def _harmless(text):
    """Text that a spreadsheet will not run as a formula."""
    return f"'{text}" if text.startswith(SPREADSHEET_FORMULA) else text
