"""The view behind every list page: filters, tiles, table, selection, layout, memory and export in one place.

A page is two SQL statements: one aggregate (rows that match, counts of the tiles) and the rows of one page.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views import View

from . import answers, figures
from .address import NO_FILTER, Address, term
from .export import csv_of
from .filters import ANY, CONDITIONS, Refusal, StrictFilterSet
from .layout import Layout
from .memory import Memory
from .selection import Selection, SelectionError
from .tables import ListTable

PAGE_KEYS = ("add", "column", "condition", "value", "export")
SIZES = (25, 50, 100, 200)
FRAGMENT = "listing"
NO_COUNTS = {"base": None, "total": 0, "selectable": 0, "tiles": {}}


@dataclass(frozen=True)
class Chip:
    """A filter as it shows: its words, the error beside it if any, and the address without it."""

    words: str
    error: str
    off: str


@dataclass(frozen=True)
class ShownTile:
    key: str
    label: str
    count: int | None
    note: str
    chosen: bool
    href: str


@dataclass(frozen=True)
class Header:
    """A header cell; `sorted` is "ascending", "descending" or "" and `href` sorts by it, or the other way round."""

    name: str
    label: str
    css: str
    title: str
    href: str
    sorted: str


@dataclass(frozen=True)
class Pager:
    """Which rows of how many: first and last are 0 where there are none."""

    number: int
    pages: int
    size: int
    total: int

    @property
    def first(self):
        return (self.number - 1) * self.size + 1 if self.total else 0

    @property
    def last(self):
        return min(self.number * self.size, self.total)


class ListPage(LoginRequiredMixin, View, ABC):
    """A page with one table. Subclasses name their parts and say in `base` which rows this person may see."""

    area = "product"
    screen = ""
    table_class: type[ListTable]
    filterset_class: type[StrictFilterSet]
    template_name = "listing/page.html"
    actions_template: str | None = None
    empty_template: str | None = None
    selectable = False
    per_page = 50

    @abstractmethod
    def base(self):
        """The rows this person may see, before any filter: start from a selector's `visible_to(user)`."""

    def seen(self):
        """The rows that this person may name at all: also those that are no longer, or not yet, in this list."""
        rows = self.base()
        visible_to = getattr(rows.model._default_manager, "visible_to", None)
        return rows if visible_to is None else visible_to(self.request.user)

    def memory_screen(self):
        """Whose filters are remembered; a page per object adds its key, so that each has filters of its own."""
        return self.screen

    def context(self):
        """What the page's own template needs besides the list; not called for the fragment."""
        return {}

    def list_context(self, unfiltered):
        """What the page's fragments (actions, empty state) need, in whole pages and in updates.

        `unfiltered` is how many rows there are without any filter, or None where that was not counted.
        """
        return {}

    # --- answers --------------------------------------------------------------------------------------------

    def get(self, request, *args, **kwargs):
        remembered = self.memory().recall("queries", self.memory_screen())
        if not request.GET and remembered:
            return HttpResponseRedirect(f"{request.path}?{remembered}")
        if "column" in request.GET:
            return HttpResponseRedirect(f"{request.path}{self.with_new_filter()}")
        if "export" in request.GET:
            return self.export()
        return self.filter_form() if self.wants("add-filter") else self.page()

    def post(self, request, *args, **kwargs):
        """Layout and "show selected"; commands on rows have addresses of their own."""
        known = {"layout": self.keep_layout, "layout-default": self.drop_layout, "show-selected": self.keep_picks}
        action = known.get(request.POST.get("do"))
        if action is None:
            return answers.refused(self.request, "No button of this page sends this. Nothing was done.", self.here())
        return action()

    def page(self):
        listing = self.listing()
        if listing["filterset"].is_valid():
            self.memory().keep("queries", self.memory_screen(), listing["address"].remembered())
        else:
            self.put_on_record(listing["filterset"])
        if self.wants(FRAGMENT):
            template, extra = "listing/_list.html", {}
        else:
            template, extra = self.template_name, self.context()
        response = render(self.request, template, {**self.list_context(listing["unfiltered"]), **listing, **extra})
        patch_vary_headers(response, ["HX-Request", "HX-Target"])
        return response

    def filter_form(self):
        """The form of one column, asked for by the Add filter menu."""
        address, filterset = self.read()
        return render(self.request, "listing/_filter_form.html", self.adding(address, filterset))

    def export(self):
        """All rows under the filter, in the table's order, the chosen columns."""
        address, filterset = self.read()
        if self.request.GET.getlist("export") != ["csv"]:
            filterset.refusals.append(Refusal("Tables are exported as csv."))
        if not filterset.is_valid():
            self.put_on_record(filterset)
            return HttpResponseBadRequest("\n".join(filterset.errors), content_type="text/plain; charset=utf-8")
        rows = self.table_class.sorted(filterset.strict_qs(), address.last("sort"))
        return csv_of(self.table_class, rows, self.layout(), f"{self.file_name()}.csv")

    def file_name(self):
        """What the exported file is called, without its ending."""
        return self.screen

    # --- writes of POST -------------------------------------------------------------------------------------

    def keep_layout(self):
        wanted = self.request.POST.getlist("columns")
        self.memory().keep("layouts", self.screen, {"columns": list(Layout.of(self.table_class, wanted).chosen)})
        return self.back_to_list()

    def drop_layout(self):
        self.memory().keep("layouts", self.screen, None)
        return self.back_to_list()

    def keep_picks(self):
        """Keep the ticked rows in the session, so that `selected=1` can show them page by page."""
        address = Address(self.request.GET)
        try:
            selection = Selection.parse(self.request.POST)
            selection.require_seen(self.seen())
        except SelectionError as error:
            answers.not_understood.send(type(self), request=self.request, why=str(error))
            return answers.refused(self.request, error, self.here())
        self.memory().keep("picks", self.memory_screen(), selection.fields())
        return HttpResponseRedirect(f"{self.request.path}{address.plus('selected', '1')}")

    def back_to_list(self):
        return HttpResponseRedirect(self.here())

    def here(self):
        query = urlsplit(self.request.get_full_path()).query
        return f"{self.request.path}?{query}" if query else self.request.path

    def put_on_record(self, filterset):
        """What was not understood leaves an audit line: one for an address, however often it is asked for again."""
        address = self.request.get_full_path()
        if self.memory().recall("refused", self.memory_screen()) != address:
            self.memory().keep("refused", self.memory_screen(), address)
            answers.not_understood.send(type(self), request=self.request, why=" ".join(filterset.errors))

    # --- reading --------------------------------------------------------------------------------------------

    def wants(self, target):
        """Whether the browser asks for one fragment, to put it in place."""
        headers = self.request.headers
        return "HX-Request" in headers and headers.get("HX-Target") == target

    def memory(self):
        return Memory(self.request.session, self.area)

    def layout(self):
        kept = self.memory().recall("layouts", self.screen)
        return Layout.of(self.table_class, None if kept is None else kept.get("columns"))

    def picks(self):
        """The selection that `selected=1` shows, or None."""
        kept = self.memory().recall("picks", self.memory_screen())
        if kept is None:
            return None
        return Selection(
            frozenset(int(one) for one in kept["ids"].split(",") if one), kept["query"] or None, int(kept["shown"])
        )

    def read(self):
        """The address without the keys that are the page's own, and the filter set that judges it."""
        address = Address(self.request.GET).without_keys(PAGE_KEYS)
        filterset = self.filterset_class(address.data(), self.base(), picks=self.picks(), request=self.request)
        filterset.refusals += self.view_refusals(address)
        return address, filterset

    def view_refusals(self, address):
        """What is wrong with sort, page and page size."""
        found = []
        if address.last("sort") and not self.table_class.can_sort(address.last("sort")):
            found.append(Refusal(f"There is no column “{address.last('sort')}” to sort by."))
        if address.last("per", "50") not in map(str, SIZES):
            found.append(Refusal(f"A page has {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} rows."))
        page = address.last("page", "1")
        if not (page.isascii() and page.isdigit() and len(page) < 9 and int(page) > 0):
            found.append(Refusal(f"“{page}” is not a page number."))
        return found

    def listing(self):
        """Everything the fragment draws."""
        address, filterset = self.read()
        valid = filterset.is_valid()
        counts = filterset.counts() if valid else NO_COUNTS
        pager = self.pager(address if valid else None, counts["total"])
        layout, sort = self.layout(), address.last("sort") if valid else ""
        rows = self.rows(filterset, layout, sort, pager) if counts["total"] else []
        return {
            "address": address,
            "filterset": filterset,
            "valid": valid,
            "errors": [refusal.words for refusal in filterset.refusals if refusal.term is None],
            "chips": self.chips(address, filterset),
            "tiles": self.shown_tiles(address, filterset, counts["tiles"]),
            "table": self.table_class.laid_out(rows, layout, sort),
            "headers": self.headers(layout, address, sort),
            "layout_rows": self.layout_rows(layout),
            "pager": pager,
            "able": counts["selectable"],
            "unfiltered": counts["base"],
            "beyond": valid and int(address.last("page", "1")) > pager.number and address.last("page"),
            **self.parts(),
            **self.links(address, pager, valid),
            **self.adding(address, filterset),
        }

    def parts(self):
        """What the page says of itself."""
        return {
            "screen": self.screen,
            "store": f"{self.area}:{self.memory_screen()}",
            "selectable": self.selectable,
            "actions_template": self.actions_template,
            "empty_template": self.empty_template,
        }

    def rows(self, filterset, layout, sort, pager):
        """The rows of one page as dicts of just the fields that the shown columns need.

        Pages in the second half are counted from the end, so that the last one costs no more than the first.
        """
        ordered = self.table_class.sorted(filterset.strict_qs(), sort)
        rows = ordered.values(*self.table_class.fields_of(layout.shown))
        if pager.first <= pager.total / 2:
            return rows[pager.first - 1 : pager.last]
        return reversed(rows.reverse()[pager.total - pager.last : pager.total - pager.first + 1])

    def pager(self, address, total):
        """The page asked for, or the last one where it lies beyond the end."""
        size = int(address.last("per", str(self.per_page))) if address else self.per_page
        pages = max(-(-total // size), 1)
        wanted = int(address.last("page", "1")) if address else 1
        return Pager(min(wanted, pages), pages, size, total)

    # --- links ----------------------------------------------------------------------------------------------

    def links(self, address, pager, valid):
        """Where the parts of the list lead: the same address with one thing changed."""
        return {
            "page_links": self.page_links(address, pager),
            "sizes": [(size, f"{address.plus('per', size)}", size == pager.size) for size in SIZES],
            "export_link": f"{address.plus('export', 'csv')}",
            "clear_link": f"{address.only('sort', 'per').plus('f', '')}" if valid else f"?{NO_FILTER}",
            "search_kept": address.without("q").pairs,
            "selected_view": bool(address.values("selected")),
            "selected_off": f"{address.without('selected')}",
        }

    def chips(self, address, filterset):
        """One chip a filter; one that was not understood stands there too, with its error."""
        understood = {term.raw: term.words for term in filterset.terms}
        errors = {refusal.term: refusal.words for refusal in filterset.refusals if refusal.term is not None}
        return [
            Chip(understood.get(raw) or filterset.words_of(raw), errors.get(raw, ""), f"{address.without('f', raw)}")
            for raw in dict.fromkeys(address.values("f"))
            if raw
        ]

    def shown_tiles(self, address, filterset, counts):
        chosen = set(address.values("tile"))
        return [
            self.shown_tile(tile, counts.get(tile.key), tile.key in chosen, f"{address.toggled('tile', tile.key)}")
            for tile in filterset.tiles
        ]

    @staticmethod
    def shown_tile(tile, counted, chosen, href):
        """A tile with its count; without one ("—") where a filter was refused."""
        if counted is None:
            return ShownTile(tile.key, tile.label, None, "", chosen, href)
        count, added = counted
        note = tile.note if tile.adds is None else tile.note.format(figures.short_dollars(added))
        return ShownTile(tile.key, tile.label, count, note, chosen, href)

    def headers(self, layout, address, sort):
        """The header cells: label, class, hover text, link and state of sorting."""
        current = sort or self.table_class.sort
        return [self.header(name, address, current) for name in layout.shown]

    def header(self, name, address, current):
        column = self.table_class.base_columns[name]
        rising = current == name
        direction = {name: "ascending", f"-{name}": "descending"}.get(current, "")
        href = f"{address.plus('sort', f'-{name}' if rising else name)}" if self.table_class.can_sort(name) else ""
        return Header(name, column.verbose_name, self.table_class.css_of(name), column.title, href, direction)

    def layout_rows(self, layout):
        """Every column for the layout dialog: name, label, "fixed", "shown" or "hidden"."""
        labels = self.table_class.base_columns
        states = [(layout.fixed, "fixed"), (layout.chosen, "shown"), (layout.hidden, "hidden")]
        return [(name, labels[name].verbose_name, state) for names, state in states for name in names]

    def page_links(self, address, pager):
        def to(number):
            return f"{address.plus('page', number)}" if 1 <= number <= pager.pages and number != pager.number else ""

        return {"first": to(1), "previous": to(pager.number - 1), "next": to(pager.number + 1), "last": to(pager.pages)}

    def adding(self, address, filterset):
        """The Add filter menu: its columns, or the form of the one that `add` names."""
        name = self.request.GET.get("add", "")
        columns = [(key, one.label, f"{address.plus('add', key)}") for key, one in filterset.filters.items()]
        menu = {"columns_to_filter": columns, "menu_link": f"{address.plus('add', '')}", "adding": None}
        column = filterset.filters.get(name)
        if column is None:
            return menu
        choices = column.offered(self.base()) if ANY in column.conditions else None
        typed = [key for key in column.conditions if key != ANY] if choices is None else []
        return menu | {
            "adding": name,
            "adding_column": column,
            "adding_conditions": [(key, CONDITIONS[key]) for key in typed],
            "adding_choices": choices,
            "adding_kept": address.without("f", "").pairs,
        }

    def with_new_filter(self):
        """The address with the filter of the Add filter form, or as it is where that filter stands already; what was
        typed is judged by the page it leads to."""
        address, filterset = self.read()
        data = self.request.GET
        added = term(data["column"], data.get("condition") or ANY, *data.getlist("value"))
        return address if filterset.stands(added) else address.plus("f", added)
