"""The order ticket: block orders or accounts with live prices and totals, and everything that is edited of them."""

from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from accounts.listing import answers
from accounts.listing.figures import plural, quantity_text
from accounts.money import amount, plain
from accounts.services.refusals import Refused, command
from trading import hours, tickets
from trading.models import Ticket
from trading.services import editing, executing, market, recalculating
from trading.tables import STATE_BADGES
from trading.ticket_forms import NOT_A_NUMBER, ExecutionForm, Typed, chosen, is_id, number

LINES_A_PAGE = 50
ACCOUNTS_A_PAGE = 50
OPEN_AT_MOST = 30  # orders or accounts that an address opens
EXECUTION, RECALCULATION = "trading/_ticket_execution.html", "trading/_ticket_recalculation.html"
EDITED = "ticket.edited"
DAMAGED = "What you sent did not arrive whole, so nothing was done. Reload the page and try again."


@dataclass(frozen=True, slots=True)
class Place:
    """What of the ticket is shown: by ticker or by account, which are open, which page, what is searched for."""

    by: str = "ticker"
    open: tuple[int, ...] = ()
    page: int = 1
    search: str = ""

    @classmethod
    def of(cls, data):
        opened = [int(one) for one in ",".join(data.getlist("open")).split(",") if is_id(one)]
        page = data.get("page", "")
        return cls(
            by="account" if data.get("by") == "account" else "ticker",
            open=tuple(dict.fromkeys(opened))[:OPEN_AT_MOST],
            page=max(int(page), 1) if page.isascii() and page.isdecimal() and len(page) < 10 else 1,
            search=data.get("q", "").replace("\0", "").strip()[:100],
        )

    def query(self, **changes):
        """The query string of this place, with these changes."""
        now = {"by": self.by, "open": ",".join(map(str, self.open)), "page": self.page, "q": self.search} | changes
        usual = {"by": "ticker", "page": 1}
        kept = {name: value for name, value in now.items() if value and value != usual.get(name)}
        return f"?{urlencode(kept)}" if kept else ""


@dataclass(frozen=True, slots=True)
class Slice:
    """A page of rows, and where it lies in all of them."""

    rows: list
    total: int
    number: int
    size: int

    @property
    def first(self):
        return (self.number - 1) * self.size + 1 if self.total else 0

    @property
    def last(self):
        return min(self.number * self.size, self.total)

    @property
    def pages(self):
        return max(-(-self.total // self.size), 1)


def cut(found, number, size):
    """That page of a query set, or its last one."""
    total = found.count()
    number = min(number, max(-(-total // size), 1))
    return Slice(list(found[(number - 1) * size : number * size]), total, number, size)


class Notable(str):
    """What was done, with something to look at."""


@dataclass(slots=True)
class Rejected:
    """What a person typed and why it is not taken, for the page that asks them to correct it."""

    typed: Typed = field(default_factory=Typed)
    lines: dict[int, str] = field(default_factory=dict)
    orders: dict[int, str] = field(default_factory=dict)
    words: str = ""


@login_required
@never_cache
def ticket(request, pk):
    """The ticket as this person sees it."""
    found = get_object_or_404(tickets.tickets(request.user), pk=pk)
    return _page(request, found, Place.of(request.GET))


def _page(request, found: Ticket, place: Place, rejected: Rejected | None = None, status=200):
    rows = tickets.rows(request.user, found)
    if place.by == "ticker":
        tickets.look_at_prices(rows, timezone.now())
    context = _frame(request, found, place, rows) | {"rejected": rejected}
    if place.by == "account":
        context |= _by_account(request, found, place, rows, rejected)
    else:
        context |= _by_ticker(request, found, place, rows, rejected)
    return render(request, "trading/ticket.html", context, status=status)


def _frame(request, found, place, rows):
    """Title, steps, banners and facts."""
    now = timezone.now()
    standing = hours.standing(now)
    why_not = _why_not(request.user, found, rows)
    state, badge = tickets.state_of(found, rows)
    return _facts(request, found, rows) | {
        "section": "trading",
        "ticket": found,
        "place": place,
        "rows": rows,
        "why_not": why_not,
        "may_edit": not why_not,
        "state": state,
        "state_badge": badge,
        "market": standing.words,
        "paper": _paper_words(rows),
        "passed": tickets.passed_windows(rows, standing, now) if not found.confirmed_at else [],
        "sent": sum(row.is_ready and row.order.quantity > 0 for row in rows),
    }


def _paper_words(rows):
    """What the paper market is, where it gets one of the orders that can still be edited; else empty."""
    return market.describe() if any(row.is_ready and row.order.broker == "paper" for row in rows) else ""


def _facts(request, found, rows):
    return {"ticket": found, "totals": tickets.totals(request.user, found, rows)}


def _why_not(user, found, rows):
    """Why this person can't edit the ticket now, in words; empty when they can."""
    if found.confirmed_at:
        return "It is confirmed: its orders are no longer edited."
    if rows and not any(row.is_ready for row in rows):
        return "Its orders have ended."
    return editing.why_not(user)


# --- by ticker ------------------------------------------------------------------------------------------------------


def _by_ticker(request, found, place, rows, rejected):
    lines = _lines_typed(request.user, found, rejected) if rejected else {}
    for row in rows:
        row.field = _order_field(row, rejected)
        row.badge = STATE_BADGES.get(row.order.state, "")
        if row.order.pk in lines:
            row.lines = _drawn(Slice(lines[row.order.pk], len(lines[row.order.pk]), 1, LINES_A_PAGE), row, rejected)
        elif row.order.pk in place.open:
            row.lines = _order_lines(request.user, found, row, place)
    return {"by": "ticker"}


def _order_field(row, rejected):
    typed = rejected.typed.orders if rejected else {}
    errors = rejected.orders if rejected else {}
    pk = row.order.pk
    return {
        "name": f"order-{pk}",
        "value": typed.get(pk, quantity_text(row.order.quantity)),
        "error": errors.get(pk, ""),
    }


def _lines_typed(user, found, rejected):
    """The lines that were sent, by order id: these, and no others, are shown with what was typed."""
    by_order = defaultdict(list)
    for line in tickets.lines(user, found).filter(pk__in=rejected.typed.lines):
        by_order[line.order_id].append(line)
    return by_order


def _order_lines(user, found, row, place):
    lines = tickets.matching(tickets.lines(user, found).filter(order=row.order), place.search, "account__")
    return _drawn(cut(lines, place.page if len(place.open) == 1 else 1, LINES_A_PAGE), row, None)


def _drawn(some: Slice, row, rejected):
    for line in some.rows:
        _draw(line, row, rejected)
    return some


def _draw(line, row, rejected):
    """What a line shows beside what it is."""
    typed = rejected.typed.lines if rejected else {}
    errors = rejected.lines if rejected else {}
    line.field = {
        "name": f"line-{line.pk}",
        "value": typed.get(line.pk, quantity_text(line.quantity)),
        "error": errors.get(line.pk, ""),
    }
    line.price = row.price
    line.value = amount(line.quantity * row.price) if line.filled_amount is None else line.filled_amount
    line.is_ready = row.is_ready and line.is_open


@login_required
@never_cache
def order_lines(request, pk, order_pk):
    """The accounts of one order, a page of them: rows that the page puts below the order."""
    found = get_object_or_404(tickets.tickets(request.user), pk=pk)
    rows = tickets.rows(request.user, found)
    row = next((one for one in rows if one.order.pk == order_pk), None)
    if row is None:
        raise Http404
    place = Place.of(request.GET)
    why_not = _why_not(request.user, found, rows)
    row.lines = _order_lines(request.user, found, row, Place(open=(order_pk,), page=place.page, search=place.search))
    context = {"ticket": found, "row": row, "may_edit": not why_not, "place": place}
    return render(request, "trading/_ticket_order_lines.html", context)


# --- by account -----------------------------------------------------------------------------------------------------


def _by_account(request, found, place, rows, rejected):
    user = request.user
    accounts = tickets.matching(tickets.accounts(user, found), place.search)
    some = cut(accounts.values_list("pk", flat=True), place.page, ACCOUNTS_A_PAGE)
    drawn = tickets.account_rows(user, found, rows, some.rows)
    wanted = set(place.open) | ({drawn[0].pk} if some.total == 1 else set())
    lines = tickets.lines(user, found)
    lines = lines.filter(pk__in=rejected.typed.lines) if rejected else lines.filter(account__in=wanted)
    by_account = defaultdict(list)
    if rejected or wanted:
        for line in _with_rows(lines, rows, rejected):
            by_account[line.account_id].append(line)
    listed = [{"account": one, "lines": by_account.get(one.pk)} for one in drawn]
    return {"by": "account", "accounts": listed, "slice": some, "pages": _pages(place, some)}


def _with_rows(lines, rows, rejected):
    by_order = {row.order.pk: row for row in rows}
    found = list(lines)
    for line in found:
        _draw(line, by_order[line.order_id], rejected)
    return found


def _pages(place, some):
    """Where the page before and the one after lead; empty where there is none."""
    return {
        "previous": place.query(page=some.number - 1, open="") or "?" if some.number > 1 else "",
        "next": place.query(page=some.number + 1, open="") if some.number < some.pages else "",
    }


@login_required
@never_cache
def account_lines(request, pk, account_pk):
    """All lines of one account: rows that the page puts below it."""
    found = get_object_or_404(tickets.tickets(request.user), pk=pk)
    rows = tickets.rows(request.user, found)
    lines = _with_rows(tickets.lines(request.user, found).filter(account=account_pk), rows, None)
    if not lines:
        raise Http404
    context = {"ticket": found, "lines": lines, "may_edit": not _why_not(request.user, found, rows)}
    return render(request, "trading/_ticket_account_lines.html", context)


# --- live -----------------------------------------------------------------------------------------------------------


@login_required
@never_cache
def live(request, pk):
    """Prices, values and totals of now, each put in its place; what somebody else has changed is said, not shown."""
    found = get_object_or_404(tickets.tickets(request.user), pk=pk)
    if found.confirmed_at and request.GET.get("confirmed") != "yes":
        return HttpResponseClientRefresh()
    rows = tickets.rows(request.user, found)
    tickets.look_at_prices(rows, timezone.now())
    context = _facts(request, found, rows) | {"rows": rows, "by": Place.of(request.GET).by, "oob": True}
    context["changed"] = request.GET.get("version") != str(found.version)
    return render(request, "trading/_ticket_live.html", context)


# --- dialogs --------------------------------------------------------------------------------------------------------


@login_required
@never_cache
def execution(request, pk):
    """How one order, or all, are to be executed: a dialog of the ticket, or a page of its own."""
    found = get_object_or_404(tickets.tickets(request.user), pk=pk)
    rows = tickets.rows(request.user, found)
    asked = _asked(rows, request.GET.get("order", ""))
    form = ExecutionForm(fund=_of_fund(asked), initial=_initial(asked))
    return _execution_form(request, found, rows, asked, form)


def _asked(rows, text):
    """The row that is asked for, None for all; 404 where there is no such order."""
    if text == "all":
        return None
    found = next((row for row in rows if str(row.order.pk) == text), None)
    if found is None:
        raise Http404
    return found


def _of_fund(row):
    return row is not None and executing.is_fund(row.order)


def _initial(row):
    if row is None:
        return {}
    numbers = ("limit_price", "participation")
    given = {name: getattr(row.order, name) for name in executing.FIELDS}
    return given | {name: plain(given[name]) for name in numbers if given[name] is not None}


def _execution_form(request, found, rows, row, form, status=200, place=None, typed=()):
    standing = hours.standing()
    why_not = _why_not(request.user, found, rows)
    if not why_not and row is not None and not row.is_ready:
        why_not = f"The order is {row.order.get_state_display().lower()}."
    return render(request, _dialog(request, EXECUTION), {
        "section": "trading", "ticket": found, "row": row, "form": form, "why_not": why_not, "market": standing.words,
        "paper": _paper_words([row] if row else rows),
        "session": standing.session, "place": place or Place.of(request.GET), "content": EXECUTION,
        "orders": sum(one.is_ready for one in rows), "fund": _of_fund(row), "typed": typed,
    }, status=status)  # fmt: skip


def _dialog(request, content):
    return content if request.htmx else "trading/ticket_dialog.html"


@login_required
@never_cache
def recalculation(request, pk):
    """Ask before quantities are set anew: a dialog of the ticket, or a page of its own."""
    found = get_object_or_404(tickets.tickets(request.user), pk=pk)
    rows = tickets.rows(request.user, found)
    tickets.look_at_prices(rows, timezone.now())
    return render(request, _dialog(request, RECALCULATION), {
        "section": "trading", "ticket": found, "rows": rows, "totals": tickets.totals(request.user, found, rows),
        "why_not": _why_not(request.user, found, rows), "place": Place.of(request.GET),
        "stale": [row for row in rows if row.caveat], "content": RECALCULATION,
    })  # fmt: skip


# --- editing --------------------------------------------------------------------------------------------------------


@answers.posted
@never_cache
def edit(request, pk):
    """What a button of the ticket does. Shares that were typed are saved with it, all in one transaction.

    What can't be is said on the same page, beside the field, with what was typed; else the page is shown anew.
    """
    found = get_object_or_404(tickets.tickets(request.user), pk=pk)
    place, typed = Place.of(request.POST), Typed.parse(request.POST)
    back = reverse("trading:ticket", args=[found.pk]) + place.query()
    try:
        words = _do(request, found, typed)
    except PermissionDenied as refusal:
        return answers.refused(request, refusal, back, status=403)
    except executing.WrongExecution as refusal:
        return _execution_again(request, found, place, typed, refusal)
    except editing.WrongLines as refusal:
        refusal = _as_typed(typed, refusal)
        return _page(request, _again(request, found), place, _rejected(typed, refusal), status=400)
    except Refused as refusal:
        return _page(request, _again(request, found), place, Rejected(typed, words=str(refusal)), status=409)
    for one in words:
        tell = messages.warning if isinstance(one, Notable) else messages.success
        tell(request, one)
    return HttpResponseRedirect(back)


def _again(request, found):
    """The ticket as it is now."""
    return tickets.tickets(request.user).get(pk=found.pk)


def _do(request, found, typed) -> list[str]:
    """Save what was typed, then do what the button says; what was done, in words."""
    data, by = request.POST, request.user
    _require_whole(data, by, found)
    both = bool(typed.lines or typed.orders) and any(name in data for name in BUTTONS)
    with command(by, EDITED, found) if both else nullcontext():
        version, said = int(data["version"]), []
        if typed.lines or typed.orders:
            saved = editing.change_shares(found, version, typed.quantities(), by, orders=typed.totals())
            version += bool(saved.changed)
            said = [f"{plural(saved.changed, 'line')} changed."] if saved.changed else []
        said += _button(data, found, version, by)
    return said or ["Nothing was changed: every figure is as it was."]


BUTTONS = ("leave_out", "take_back", "sells_first", "recalculate", "execution")


def _require_whole(data, by, found):
    """Refuse, on record, what no page of the ticket sends."""
    named = [data[name] for name in ("leave_out", "take_back") if name in data]
    if data.get("execution", "all") != "all":
        named.append(f"order-{data['execution']}")
    if not is_id(data.get("version", "")) or None in map(chosen, named):
        with command(by, EDITED, found):
            raise Refused(DAMAGED)


def _button(data, found, version, by) -> list[str]:
    if "leave_out" in data:
        edited = editing.leave_out(found, version, chosen(data["leave_out"]), by)
        return [f"{plural(edited.changed, 'line')} left out."]
    if "take_back" in data:
        edited = editing.take_back(found, version, chosen(data["take_back"]), by)
        return [f"{plural(edited.changed, 'line')} back to what was approved."]
    if "sells_first" in data:
        on = data["sells_first"] == "on"
        editing.set_sells_first(found, version, on, by)
        return ["Buys wait until their accounts' sells are filled." if on else "Buys no longer wait for sells."]
    if "recalculate" in data:
        return [recalculating.in_words(recalculating.recalculate(found, version, by))]
    return _execute(data, found, version, by) if "execution" in data else []


def _execute(data, found, version, by) -> list[str]:
    orders = "all" if data["execution"] == "all" else (int(data["execution"]),)
    form = ExecutionForm(data, fund=data.get("algorithm") == "nav")
    if not form.is_valid():
        raise executing.WrongExecution({name: " ".join(words) for name, words in form.errors.items()})
    edited = executing.set_execution(found, version, orders, form.execution(), by)
    notes = (f"{note}." for note in edited.notes)
    said = " ".join([f"Execution of {plural(edited.changed, 'order')} changed.", *notes])
    return [Notable(said) if edited.notes else said]


def _as_typed(typed, refusal):
    """The refusal, with what is no number quoted as it was typed."""
    lines = [_line_as_typed(line, typed.lines.get(line.pk)) for line in refusal.lines]
    orders = {
        pk: words.replace(f" {NOT_A_NUMBER}:", f" {_quoted(typed.orders.get(pk, ''))}:", 1)
        for pk, words in refusal.orders.items()
    }
    return editing.WrongLines(lines, orders)


def _line_as_typed(line, text):
    return line if text is None or number(text).is_finite() else replace(line, given=_quoted(text))


def _quoted(text):
    return f'"{text.strip()}"' if text.strip() else "nothing typed"


def _rejected(typed, refusal):
    """Errors beside the fields they belong to; lines that are not on the page are named at their order."""
    orders = dict(refusal.orders)
    for line in refusal.lines:
        if line.pk not in typed.lines:
            orders.setdefault(line.order_id, f"{line.number}, {line.given}: {line.words}")
    lines = {line.pk: line.words for line in refusal.lines}
    return Rejected(typed, lines, orders, str(refusal))


def _execution_again(request, found, place, typed, refusal):
    """The form on a page of its own, with what was entered and why it can't be; shares that were typed ride along."""
    rows = tickets.rows(request.user, found)
    row = _asked(rows, request.POST["execution"])
    form = ExecutionForm(request.POST, fund=_of_fund(row))
    if form.is_valid():
        form.refuse(refusal.fields)
    return _execution_form(request, found, rows, row, form, status=400, place=place, typed=typed.fields())
