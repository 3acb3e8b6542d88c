"""Filters that refuse: whatever they do not understand becomes an error in words and no rows, never "all".

A page declares its columns with the classes below in a `StrictFilterSet`; django-filter collects and cleans them.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import reduce
from operator import and_, or_

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, Sum, Value
from django.utils import timezone

from . import figures
from .address import KEYS, REPEATABLE, Address, decode_value

IS, GTE, LTE, ANY = "is", "gte", "lte", "any"
CONDITIONS = {
    IS: "is equal to",
    GTE: "is greater than or equal to",
    LTE: "is less than or equal to",
    ANY: "is any of",
}
SIGNS = {IS: "is", GTE: "≥", LTE: "≤", ANY: "is"}
LOOKUPS = {IS: "", GTE: "__gte", LTE: "__lte"}
NUMBER = re.compile(r"([+-]?\$?|\$[+-])(\d{1,3}(,\d{3})+|\d{1,15})(\.\d{1,6})?", re.ASCII)
UNIT = re.compile(r"\s*(%|pp)$")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
YEARS = range(1900, 2200)
NOTHING = "—"
LONGEST_LIST = 500
ROW = Value(1)  # to count: there is a row, whatever it holds


class FilterRefused(Exception):
    """A filter that cannot be understood; `words` say which part and why."""

    def __init__(self, refusals):
        self.words = [refusal.words for refusal in refusals]
        super().__init__(" ".join(self.words))


@dataclass(frozen=True)
class Refusal:
    """What was not understood, in words, and the term (the raw value of `f`) it stands beside, if any."""

    words: str
    term: str | None = None


@dataclass(frozen=True)
class Term:
    """One understood filter: as typed, in words for the chip, as a condition in SQL, and its meaning however typed."""

    raw: str
    words: str
    q: Q
    meaning: tuple


@dataclass(frozen=True)
class Tile:
    """A count on top of the list; a click adds its condition.

    `adds` (a field or expression) is summed over the tile's rows and put into `note`: "{} above target".
    """

    key: str
    label: str
    q: Q
    note: str = ""
    adds: object = None


class ColumnFilter(django_filters.Filter):
    """A column that can be filtered. Subclasses say which conditions it knows and how a value is read and worded."""

    conditions: tuple[str, ...] = (IS, GTE, LTE)
    input_type = "text"
    hint = ""

    def __init__(self, label, field_name=None, **options):
        super().__init__(field_name, label=label, **{"required": True, **options})

    def read(self, text):
        """The value behind its text in the address; raises ValidationError in words."""
        return self.field.clean(text)

    def value_words(self, value):
        return str(value)

    def condition_q(self, condition, values):
        """The rows for which the condition holds with any of the values."""
        lookup = f"{self.field_name}{LOOKUPS[condition]}"
        return reduce(or_, (Q(**{lookup: value}) for value in values))

    def term(self, raw, condition, texts):
        """Read one term whole, or raise ValidationError."""
        if condition not in self.conditions:
            raise ValidationError(f"{self.label} has no condition “{condition}”.")
        if not all(text.strip() for text in texts):
            raise ValidationError(f"{self.label}: no value was given.")
        values = [self.read(text) for text in texts]
        if condition in (GTE, LTE) and len(values) != 1:
            raise ValidationError(f"{self.label} {SIGNS[condition]} takes one value.")
        if len(set(values)) != len(values):
            raise ValidationError(f"{self.label} names a value twice.")
        shown = " or ".join(self.value_words(value) for value in values)
        meaning = (self.label, SIGNS[condition], frozenset(values))
        return Term(raw, f"{self.label} {SIGNS[condition]} {shown}", self.condition_q(condition, values), meaning)


class TextFilter(ColumnFilter):
    """Text, equal but for capitals."""

    field_class = forms.CharField
    conditions = (IS,)

    def __init__(self, label, field_name=None, **options):
        super().__init__(label, field_name, max_length=200, **options)

    def condition_q(self, condition, values):
        return reduce(or_, (Q(**{f"{self.field_name}__iexact": value}) for value in values))


class NumberFilter(ColumnFilter):
    """A number, typed as 10000, 10,000 or $10,000.50, or as pages write it: (100.00), −5, 3.20 %, +1.5 pp.

    Where a column shows its figures to so many `places`, every condition speaks of the figure as shown.
    """

    hint = "10,000"
    complaint = "is not a number"
    places: int | None = None

    def read(self, text):
        typed = UNIT.sub("", text.strip()).replace(figures.MINUS, "-")
        if typed.startswith(("(", "$(")) and typed.endswith(")"):
            typed = f"-{typed.removeprefix('$')[1:-1]}"
        if not NUMBER.fullmatch(typed):
            raise ValidationError(f"{self.label}: “{text}” {self.complaint}.")
        number = Decimal(typed.replace(",", "").replace("$", ""))
        return number if self.places is None else figures.rounded(number, self.places)

    def condition_q(self, condition, values):
        if self.places is None:
            return super().condition_q(condition, values)
        return reduce(or_, (self._shown_q(condition, value) for value in values))

    def _shown_q(self, condition, value):
        """Figures are rounded half away from zero, so the halves belong to what is further from it."""
        half = Decimal(5).scaleb(-self.places - 1)
        least = Q(**{f"{self.field_name}__{'gte' if value > 0 else 'gt'}": value - half})
        most = Q(**{f"{self.field_name}__{'lte' if value < 0 else 'lt'}": value + half})
        return {GTE: least, LTE: most, IS: least & most}[condition]


class AmountFilter(NumberFilter):
    """Dollars, shown to the cent."""

    complaint = "is not an amount in dollars, like 10,000.00"
    places = 2

    def value_words(self, value):
        text = figures.dollars_text(value)
        return text.replace(".00", "") if value == value.to_integral_value() else text


class CountFilter(NumberFilter):
    """A whole number."""

    hint = "3"

    def read(self, text):
        number = super().read(text)
        if number != number.to_integral_value():
            raise ValidationError(f"{self.label}: “{text}” is not a whole number.")
        return int(number)

    def value_words(self, value):
        return figures.count_text(value)


class NumberedFilter(CountFilter):
    """The number of a thing, which is its name: written without separators."""

    hint = "2041"

    def value_words(self, value):
        return str(value)


class PercentFilter(NumberFilter):
    """A weight or drift in percent (10 is 10 %), shown to two places."""

    hint = "3.20"
    complaint = "is not a percentage, like 3.20"
    places = 2

    def value_words(self, value):
        return figures.percent_text(value)


class PointsFilter(PercentFilter):
    """Percentage points with one place, as drift is shown."""

    hint = "1.5"
    complaint = "is not a number of percentage points, like 1.5"
    places = 1

    def value_words(self, value):
        return figures.points_text(value)


class DayFilter(ColumnFilter):
    """A calendar day, YYYY-MM-DD."""

    field_class = forms.DateField
    input_type = "date"
    hint = "2026-11-20"

    def __init__(self, label, field_name=None, **options):
        super().__init__(label, field_name, input_formats=["%Y-%m-%d"], **options)

    def read(self, text):
        if not DAY.fullmatch(text.strip()):
            raise ValidationError(f"{self.label}: “{text}” is not a day, like 2026-11-20.")
        try:
            day = super().read(text)
        except ValidationError:
            raise ValidationError(f"{self.label}: there is no day {text}.") from None
        if day.year not in YEARS:
            raise ValidationError(f"{self.label}: {text} is too far away.")
        return day

    def value_words(self, value):
        return value.isoformat()


class MomentFilter(DayFilter):
    """A moment, filtered by its day in the firm's zone; both days of a range are included."""

    def condition_q(self, condition, values):
        return reduce(or_, (self._day_q(condition, day) for day in values))

    def _day_q(self, condition, day):
        starts = {f"{self.field_name}__gte": _midnight(day)}
        ends = {f"{self.field_name}__lt": _midnight(day + timedelta(days=1))}
        return Q(**({GTE: starts, LTE: ends}.get(condition) or {**starts, **ends}))


class ChoiceFilter(ColumnFilter):
    """Any of some values. `choices` are pairs of value and label, and nothing else is understood.

    Without `choices` the column is open (custodians, portfolios): the menu offers what the visible rows hold, or lets
    the value be typed where these are too many to list, and a value nobody has matches no row. "—" stands for no value.
    What is chosen ("any") is equal; what is typed ("is") is equal but for capitals, as in a column of text.
    """

    field_class = forms.CharField
    conditions = (ANY, IS)

    def __init__(self, label, field_name=None, choices=None, **options):
        super().__init__(label, field_name, **options)
        self.known = None if choices is None else {str(value): (value, str(words)) for value, words in choices}

    def read(self, text):
        value = super().read(text)
        if self.known is not None and value not in self.known:
            raise ValidationError(f"{self.label}: there is no choice “{text}”.")
        return value

    def value_words(self, value):
        return self.known[value][1] if self.known is not None else value

    def condition_q(self, condition, values):
        if self.known is not None:
            return Q(**{f"{self.field_name}__in": [self.known[value][0] for value in values]})
        q = Q(**{f"{self.field_name}__in": values})
        if condition == IS:
            q = reduce(or_, (Q(**{f"{self.field_name}__iexact": value}) for value in values))
        if NOTHING in values:
            q |= Q(**{f"{self.field_name}__isnull": True}) | Q(**{self.field_name: ""})
        return q

    def offered(self, base):
        """Pairs of value and label for the menu; an open column reads them from the page's own rows (one query).

        None where they are more than anybody looks through.
        """
        if self.known is not None:
            return [(value, words) for value, (_, words) in self.known.items()]
        held = base.order_by().values_list(self.field_name, flat=True).distinct()[: LONGEST_LIST + 1]
        if len(held) > LONGEST_LIST:
            return None
        names = {NOTHING if name in (None, "") else str(name) for name in held}
        return [(name, name) for name in sorted(names, key=str.casefold)]


class OptionFilter(ChoiceFilter):
    """Choices that are conditions of their own: options={"high_cash": ("High Cash", Q(high_cash=True))}."""

    def __init__(self, label, options, **more):
        super().__init__(label, "pk", choices=[(key, words) for key, (words, _) in options.items()], **more)
        self.options = options

    def condition_q(self, condition, values):
        return reduce(or_, (self.options[value][1] for value in values))


class FlagFilter(OptionFilter):
    """Yes or no."""

    def __init__(self, label, field_name, yes="Yes", no="No"):
        options = {"yes": (yes, Q(**{field_name: True})), "no": (no, Q(**{field_name: False}))}
        super().__init__(label, options)


class StrictFilterSet(django_filters.FilterSet):
    """All filters of a page. `qs` is empty and `errors` says why when any part of the address is not understood.

    `data` is a QueryDict (address.py says which keys), `queryset` the rows this person may see: there is no default.
    `picks` is the selection that `selected=1` shows; without it that key is refused.
    """

    search_fields: tuple[str, ...] = ()
    search_hint = "Search"
    tiles: tuple[Tile, ...] = ()
    selectable: Q | None = None  # the rows that can be selected at all; None: every row
    usually: Q = Q()  # the rows that are listed as long as none of the columns `beyond` is asked for
    beyond: tuple[str, ...] = ()

    def __init__(self, data, queryset, *, picks=None, request=None):
        assert queryset is not None, "a filter set needs the rows that may be seen"
        # Not django-filter's own, which copies every filter for each page: ours keep nothing of a request.
        self.data, self.queryset, self.request, self.filters = data, queryset, request, self.base_filters
        self.address = Address(data)
        self.picks = picks
        self.refusals = [*self._unknown_keys(), *self._bad_repeats(), *self._bad_text()]
        self.terms = self._read_terms()
        self.chosen = self._read_tiles()
        self.search = self.address.last("q").strip()
        self._check_selected()

    def is_valid(self):
        return not self.refusals

    @property
    def errors(self):
        """Everything not understood, in words."""
        return [refusal.words for refusal in self.refusals]

    @property
    def qs(self):
        return self.strict_qs() if self.is_valid() else self.queryset.none()

    def strict_qs(self):
        """The matching rows; raises FilterRefused rather than drop what it can't understand."""
        return self._under_tiles().filter(self._chosen_q())

    def counts(self):
        """{"total": rows that match, "selectable": those of them that can be selected, "tiles": {key: (rows a click
        shows, sum or None)}, "base": rows without any filter, None where one is set} by one aggregate."""
        chosen = self._chosen_q()
        sums = {f"sum_{t.key}": Sum(t.adds, filter=chosen & t.q) for t in self.tiles if t.adds is not None}
        tallies = {f"tile_{t.key}": Count(ROW, filter=chosen & t.q) for t in self.tiles}
        able = chosen if self.selectable is None else chosen & self.selectable
        totals = {
            "base": Count(ROW),
            "total": Count(ROW, filter=chosen or None),
            "selectable": Count(ROW, filter=able or None),
        }
        found = self._under_tiles().order_by().aggregate(**totals, **tallies, **sums)
        tiles = {t.key: (found[f"tile_{t.key}"], found.get(f"sum_{t.key}")) for t in self.tiles}
        base = None if self.terms or self.search or self.address.values("selected") else found["base"]
        return {"base": base, "total": found["total"], "selectable": found["selectable"], "tiles": tiles}

    def _under_tiles(self):
        if self.refusals:
            raise FilterRefused(self.refusals)
        asked = reduce(and_, (term.q for term in self.terms), self._usual_q())
        rows = self.queryset.filter(asked & self._search_q())
        if not self.address.values("selected"):
            return rows
        return self.picks.rows(rows if self.selectable is None else rows.filter(self.selectable), type(self))

    def _usual_q(self):
        return Q() if {term.raw.partition(":")[0] for term in self.terms} & set(self.beyond) else self.usually

    def _chosen_q(self):
        return reduce(and_, (tile.q for tile in self.chosen), Q())

    def _search_q(self):
        words = self.search.split()
        return reduce(and_, (self._word_q(word) for word in words), Q())

    def _word_q(self, word):
        return reduce(or_, (Q(**{f"{field}__icontains": word}) for field in self.search_fields))

    def _read_terms(self):
        raws = self.address.values("f")
        if raws == [""]:
            return []
        return [term for term in map(self._read_term, raws) if term is not None]

    def _read_term(self, raw):
        try:
            return self._term(raw)
        except ValidationError as error:
            self.refusals.append(Refusal(self._complaint(raw.partition(":")[0], error), raw))

    def _term(self, raw):
        column, _, rest = raw.partition(":")
        condition, colon, values = rest.partition(":")
        if not colon or column not in self.filters:
            raise ValidationError(f"There is no filter “{raw}” here.")
        return self.filters[column].term(raw, condition, [decode_value(text) for text in values.split("|")])

    def stands(self, raw):
        """Whether a filter of the same meaning is set already, however it was typed."""
        try:
            meaning = self._term(raw).meaning
        except ValidationError:
            return False
        return any(meaning == term.meaning for term in self.terms)

    def words_of(self, raw):
        """A term in words, also one that was refused: as much of it as can be understood."""
        column, _, rest = raw.partition(":")
        condition, _, values = rest.partition(":")
        if column not in self.filters or condition not in SIGNS:
            return raw
        shown = " or ".join(decode_value(text) for text in values.split("|"))
        return f"{self.filters[column].label} {SIGNS[condition]} {shown}"

    def _complaint(self, column, error):
        words = error.messages[0]
        known = self.filters.get(column)
        return words if known is None or words.startswith(known.label) else f"{known.label}: {words}"

    def _read_tiles(self):
        known = {tile.key: tile for tile in self.tiles}
        keys = self.address.values("tile")
        self.refusals += [Refusal(f"There is no tile “{key}” here.") for key in keys if key not in known]
        return [known[key] for key in keys if key in known]

    def _check_selected(self):
        selected = self.address.values("selected")
        if selected and selected != ["1"]:
            self.refusals.append(Refusal("“selected” is not understood."))
        elif selected and self.picks is None:
            self.refusals.append(Refusal("The selection to show is gone. Take this off and select again."))
        elif selected:
            self._check_picks()

    def _check_picks(self):
        """A selection kept from earlier may rest on a filter that is no longer understood."""
        try:
            self.picks.rows(self.queryset.none(), type(self))
        except FilterRefused as refused:
            self.refusals += [Refusal(words) for words in refused.words]

    def _unknown_keys(self):
        unknown = sorted({key for key, _ in self.address.pairs} - set(KEYS))
        return [Refusal(f"The address holds “{key}”, which is not understood here.") for key in unknown]

    def _bad_repeats(self):
        pairs = self.address.pairs
        singles = {key for key, _ in pairs if key not in REPEATABLE and len(self.address.values(key)) > 1}
        doubles = {key for key, value in pairs if key in REPEATABLE and pairs.count((key, value)) > 1}
        return [Refusal(f"“{key}” stands twice in the address.") for key in sorted(singles | doubles)]

    def _bad_text(self):
        if any("\0" in value for _, value in self.address.pairs):
            return [Refusal("The address holds a character that no text has.")]
        if self.address.last("q") and not self.search_fields:
            return [Refusal("There is no search here.")]
        return [Refusal("The search is too long.")] if len(self.address.last("q")) > 200 else []


def _midnight(day):
    return timezone.make_aware(datetime.combine(day, time.min))
