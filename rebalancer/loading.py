"""From the database to the engine's Book: the only way in."""

import hashlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

import numpy as np
from django.db.models import Q

from accounts.bulk import read_array
from accounts.imports.copying import fetch
from accounts.models import Account, Firm, PortfolioVersion, Restriction, Security, Sleeve
from accounts.money import LARGEST_VALUE, MICRO, UNITS_PER_SHARE, cents
from rebalancer import quotes, targets
from rebalancer.engine import Book, Reason
from rebalancer.quotes import Quote, Quotes
from tax.relief import METHODS

EPOCH = date(1970, 1, 1)
RESTRICTED = {
    Restriction.Kind.NO_BUY: Reason.NO_BUY,
    Restriction.Kind.NO_SELL: Reason.NO_SELL,
    Restriction.Kind.DO_NOT_TRADE: Reason.DO_NOT_TRADE,
    Restriction.Kind.EXCLUDE_TO_CASH: Reason.EXCLUDED,
    Restriction.Kind.EXCLUDE_PRO_RATA: Reason.EXCLUDED,
}
FORBIDS_BUYS = [Reason.NO_BUY, Reason.DO_NOT_TRADE, Reason.EXCLUDED, Reason.REPLACED_BY, Reason.INACTIVE]
FORBIDS_SALES = [Reason.NO_SELL, Reason.DO_NOT_TRADE]
SMALLEST_VALUE = 0.005  # dollars: a managed value below it is none
TOO_LARGE = f"it is worth more than {LARGEST_VALUE // 10**12} trillion dollars, and its figures would not be exact"
NOBODY = -1

ACCOUNT_FIELDS = (
    "pk", "number", "name", "tax_status", "lot_method", "cash", "set_aside_cash", "portfolio_id", "advisor_id",
    "rebalancing_on", "rebalancing_since", "last_rebalanced", "last_rebalanced_at", "rebalanced_to_id",
    "portfolio_since", "delivered_for", "delivery_problem",
)  # fmt: skip
POSITIONS = """
    SELECT account_id, sleeve_id, security_id, (quantity * 1000000)::int8
    FROM accounts_position WHERE account_id = ANY(%s) ORDER BY account_id, sleeve_id, security_id
"""
POSITION_COLUMNS = {"account": "int8", "sleeve": "int8", "security": "int8", "units": "int8"}
LOT_COLUMNS = {"id": "int8"} | POSITION_COLUMNS | {"cost_cents": "int8", "acquired": "int4"}
LOTS = """
    SELECT id, account_id, sleeve_id, security_id, (quantity * 1000000)::int8,
           coalesce((total_cost * 100)::int8, -1), acquired_on - date '1970-01-01'
    FROM tax_lot WHERE account_id = ANY(%s)
    ORDER BY account_id, sleeve_id, security_id, acquired_on, lot_id
"""


@dataclass(frozen=True, slots=True, eq=False)
class Outside:
    """Holdings that are no rows of the book, (n,) each: protected ones, and sweeps, which count as cash."""

    account: np.ndarray  # row of the account in the book
    sleeve: np.ndarray  # id
    security: np.ndarray  # id
    units: np.ndarray
    reason: np.ndarray  # Reason.PROTECTED or Reason.COUNTS_AS_CASH


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A Book, what its numbers stand for, and the accounts that could not be loaded with the reason in words."""

    book: Book
    facts: list[dict]  # of each account in the book: ACCOUNT_FIELDS and `target`, the portfolio it is held to
    refused: dict[int, str]  # account id → reason
    refused_facts: dict[int, dict]
    sleeve_id: np.ndarray  # int64 (rows,)
    security_id: np.ndarray  # int64 (rows,)
    rules: dict[int, list]  # account id → its restrictions in force: (kind, symbol, symbol of the substitute or "")
    other: dict[int, str]  # row → symbol that its restriction names besides
    lot_id: np.ndarray  # int64 (lots,): primary keys
    outside: Outside
    market_cents: np.ndarray  # int64 (accounts,): all positions, each to the cent, and cash
    managed_cents: np.ndarray  # int64 (accounts,): the same without protected positions and set-aside cash
    sleeves: dict[int, str]  # id → name: managed, protected, model:NAME
    symbols: dict[int, str]
    prices: dict[int, Quote]
    versions: dict[int, PortfolioVersion]  # newest of each portfolio
    trade_date: date

    def fingerprints(self) -> dict[int, str]:
        """A digest, by account id, of everything but prices that a proposal rests on."""
        book = self.book
        rows = np.column_stack(
            [self.sleeve_id, self.security_id, book.units]
            + [getattr(book, name).view(np.int64) for name in ("target", "lower", "upper", "fit_lower", "fit_upper")]
            + [book.may_buy, book.may_sell, book.step]
        ).astype(np.int64)
        cash = np.column_stack([getattr(book, name) for name in CASH_GROUNDS])
        outside = self.outside
        aside = np.column_stack([outside.sleeve, outside.security, outside.units]).astype(np.int64)
        parts = zip(
            cash, _cut(rows, book.start), self._lots_of_each(),
            _cut(aside, np.searchsorted(outside.account, np.arange(len(self.facts) + 1))), strict=True,
        )  # fmt: skip
        return {fact["pk"]: _digest(fact, *each) for fact, each in zip(self.facts, parts, strict=True)}

    def bases(self) -> dict[int, dict]:
        """What of these grounds no stored line tells, by account id, so that a change can be named later."""
        return {
            fact["pk"]: {name: fact[name] for name in KEPT_GROUNDS}
            | {"cash": str(fact["cash"]), "set_aside_cash": str(fact["set_aside_cash"])}
            | {"restrictions": self.rules.get(fact["pk"], []), "lots": _digest_of(lots.tobytes())}
            for fact, lots in zip(self.facts, self._lots_of_each(), strict=True)
        }

    def _lots_of_each(self):
        book = self.book
        lots = np.column_stack([self.lot_id, book.lot_units, book.lot_cost_cents, book.lot_acquired]).astype(np.int64)
        return _cut(lots, book.lot_start[book.start])


KEPT_GROUNDS = ("portfolio_id", "advisor_id", "rebalancing_on", "lot_method")
GROUNDS = ("cash", "set_aside_cash", "target", *KEPT_GROUNDS)
CASH_GROUNDS = (
    "cash_target", "cash_lower", "cash_upper", "cash_fit_lower", "cash_fit_upper", "minimum_dollars", "minimum_weight",
)  # fmt: skip


def _cut(rows, ends):
    """The rows of each account."""
    return [rows[start:end] for start, end in pairwise(ends)]


def _digest(fact, *arrays):
    known = repr([fact[name] for name in GROUNDS]).encode()
    return _digest_of(b"|".join((known, *(array.tobytes() for array in arrays))))


def _digest_of(data):
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What is the same for all accounts of a load; securities and sleeves are numbered in their sorting order."""

    securities: list[Security]  # by symbol
    security_ids: np.ndarray
    security_of: dict[str, int]  # symbol → number
    sleeve_ids: np.ndarray  # managed, then models by name
    sleeve_of: dict[str, int]  # name of the model, "" for managed → number
    sleeve_names: dict[int, str]
    protected: int  # id
    price: np.ndarray  # float64, nan where there is none
    is_sweep: np.ndarray
    active: np.ndarray
    step: np.ndarray


def load(account_pks, trade_date: date, *, prices: Quotes | None = None, portfolios=None) -> Loaded:
    """Load accounts as of now. Restrictions are those in force on `trade_date`.

    `prices`: the quotes to use, or None for the newest; `portfolios`: {account id: portfolio id} to hold accounts to
    other than their own. The caller decides at which moment (accounts.bulk.one_moment).
    """
    prices = prices or quotes.newest()
    facts = _facts(account_pks, portfolios or {}, prices)
    world = _world(prices)
    plans = targets.plans({fact["target"] for fact in facts} - {None})
    rules = _rules([fact["pk"] for fact in facts], trade_date)
    templates = _templates(facts, plans, rules)
    pks = [fact["pk"] for fact in facts]
    held = read_array(POSITIONS, [pks], POSITION_COLUMNS)
    rows, outside = _rows(facts, templates, held, world)
    refused = _refused(facts, rows, outside, world, prices)
    return _assemble(facts, rows, outside, templates, rules, world, prices, refused, trade_date)


def _facts(account_pks, portfolios, prices):
    """Plain values of the accounts, by id; `target` is the portfolio each is held to, `reserved` its open buys."""
    firm = Firm.current()
    facts = list(Account.objects.filter(pk__in=account_pks).order_by("pk").values(*ACCOUNT_FIELDS))
    reserved = _reserved([fact["pk"] for fact in facts], prices)
    for fact in facts:
        fact["target"] = portfolios.get(fact["pk"], fact["portfolio_id"])
        fact["lot_method"] = fact["lot_method"] or firm.lot_method
        fact["reserved"] = reserved.get(fact["pk"], Decimal(0))
    return facts


RESERVED = """
    SELECT a.account_id, sum(round(a.quantity * coalesce(live.price, o.price), 2))
    FROM trading_allocation a JOIN trading_order o ON o.id = a.order_id
    LEFT JOIN unnest(%(securities)s::bigint[], %(prices)s::numeric[]) AS live (security_id, price)
        ON live.security_id = o.security_id
    WHERE a.is_open AND o.side = 'buy' AND a.account_id = ANY(%(accounts)s) GROUP BY a.account_id
"""


def _reserved(account_pks, prices: Quotes):
    """Cost of each account's own open buy orders at these prices, each part to the cent; where there is none, at that
    of the order."""
    used = {pk: quote.price for pk, quote in prices.usable.items()}
    known = {"accounts": account_pks, "securities": list(used), "prices": list(used.values())}
    return dict(fetch(RESERVED, known))


def _world(prices):
    securities = sorted(Security.objects.all(), key=lambda one: one.symbol.encode())
    sleeves = {sleeve.pk: sleeve for sleeve in Sleeve.objects.select_related("model")}
    protected = next(pk for pk, sleeve in sleeves.items() if sleeve.kind == Sleeve.Kind.PROTECTED)
    own = sorted(
        (sleeve for sleeve in sleeves.values() if sleeve.pk != protected),
        key=lambda one: (one.kind == Sleeve.Kind.MODEL, str(one).encode()),
    )
    return World(
        securities=securities,
        security_ids=np.array([one.pk for one in securities], dtype=np.int64),
        security_of={one.symbol: number for number, one in enumerate(securities)},
        sleeve_ids=np.array([one.pk for one in own], dtype=np.int64),
        sleeve_of={one.model.name if one.model else "": number for number, one in enumerate(own)},
        sleeve_names={pk: str(sleeve) for pk, sleeve in sleeves.items()},
        protected=protected,
        price=np.array([float(prices.usable[o.pk].price) if o.pk in prices.usable else np.nan for o in securities]),
        is_sweep=np.array([one.kind == Security.Kind.SWEEP for one in securities], dtype=bool),
        active=np.array([one.is_active for one in securities], dtype=bool),
        step=np.array([int(one.quantity_step / MICRO) for one in securities], dtype=np.int64),
    )


def _rules(account_pks, day):
    """Restrictions in force on the day: {account id: [(kind, symbol, substitute symbol)]}."""
    found = Restriction.objects.filter(Q(end=None) | Q(end__gte=day), account__in=account_pks, start__lte=day)
    rules = {}
    for pk, *rule in found.order_by("account_id", "security__symbol").values_list(
        "account", "kind", "security__symbol", "substitute__symbol"
    ):
        rules.setdefault(pk, []).append((rule[0], rule[1], rule[2] or ""))
    return rules


def _templates(facts, plans, rules):
    """The Template of each account; accounts of one portfolio without weight-changing restrictions share one."""
    changing = (*targets.EXCLUSIONS, Restriction.Kind.SUBSTITUTE)
    made = {}
    result = []
    for fact in facts:
        weighty = tuple(rule for rule in rules.get(fact["pk"], ()) if rule[0] in changing)
        key = (fact["target"], weighty)
        if key not in made:
            made[key] = targets.template(plans[fact["target"]], weighty)
        result.append(made[key])
    return result


@dataclass(slots=True, eq=False)
class Rows:
    """Rows of all accounts before any is refused; sorted by account, sleeve, security."""

    account: np.ndarray
    sleeve: np.ndarray
    security: np.ndarray
    units: np.ndarray
    weights: np.ndarray  # float64 (rows, 5)
    triggers: np.ndarray


def _rows(facts, templates, held, world):
    """Join targets and holdings into rows; what is protected, and sweeps, are kept outside."""
    number = np.searchsorted(np.array([fact["pk"] for fact in facts], dtype=np.int64), held["account"])
    security = _number_of(world.security_ids)[held["security"]]
    protected = held["sleeve"] == world.protected
    aside = protected | world.is_sweep[security]
    reason = np.where(protected, Reason.PROTECTED, Reason.COUNTS_AS_CASH)
    outside = Outside(number[aside], held["sleeve"][aside], security[aside], held["units"][aside], reason[aside])
    keep = ~aside
    sleeve = _number_of(np.append(world.sleeve_ids, world.protected))[held["sleeve"][keep]]
    wanted = _wanted(templates, world)
    held_key = _key(number[keep], sleeve, security[keep], world)
    keys = np.union1d(wanted["key"], held_key)
    units = np.zeros(len(keys), dtype=np.int64)
    units[np.searchsorted(keys, held_key)] = held["units"][keep]
    weights, triggers = np.zeros((len(keys), 5)), np.ones(len(keys), dtype=bool)
    place = np.searchsorted(keys, wanted["key"])
    weights[place], triggers[place] = wanted["weights"], wanted["triggers"]
    account, rest = np.divmod(keys, len(world.sleeve_ids) * len(world.securities) or 1)
    sleeve, security = np.divmod(rest, len(world.securities) or 1)
    return Rows(account, sleeve, security, units, weights, triggers), outside


def _number_of(ids):
    """A table from id to its number in `ids`."""
    table = np.full(int(ids.max(initial=0)) + 1, NOBODY, dtype=np.int64)
    table[ids] = np.arange(len(ids))
    return table


def _key(account, sleeve, security, world):
    return (account * len(world.sleeve_ids) + sleeve) * len(world.securities) + security


def _wanted(templates, world):
    """The target rows of all accounts, one after the other."""
    numbers = {}
    for one in {id(template): template for template in templates}.values():
        sleeve = np.array([world.sleeve_of[name] for name in one.sleeve], dtype=np.int64)
        security = np.array([world.security_of[symbol] for symbol in one.symbol], dtype=np.int64)
        numbers[id(one)] = sleeve * len(world.securities) + security
    size = len(world.sleeve_ids) * len(world.securities)
    keys = [numbers[id(one)] + account * size for account, one in enumerate(templates)]
    return {
        "key": np.concatenate([np.zeros(0, dtype=np.int64), *keys]),
        "weights": np.concatenate([np.zeros((0, 5)), *(one.weights for one in templates)]),
        "triggers": np.concatenate([np.zeros(0, dtype=bool), *(one.triggers for one in templates)]),
    }


def _refused(facts, rows, outside, world, prices):
    """Accounts that can't be weighed: {number of the account: reason}."""
    refused = {}
    sweeps = outside.reason == Reason.COUNTS_AS_CASH
    for account, security in (
        (rows.account, rows.security),
        (outside.account[sweeps], outside.security[sweeps]),
    ):
        missing = np.isnan(world.price[security])
        for number, which in zip(account[missing].tolist(), security[missing].tolist(), strict=True):
            one = world.securities[which]
            refused.setdefault(number, prices.why_not(one.pk, one.symbol))
    value = np.bincount(rows.account, _value(rows.units, rows.security, world), minlength=len(facts))
    aside = np.bincount(outside.account, _value(outside.units, outside.security, world), minlength=len(facts))
    all_of_it = value + aside
    value = value + _sweep_cents(outside, world, len(facts)) / 100
    for number, fact in enumerate(facts):
        if all_of_it[number] + abs(float(fact["cash"])) > LARGEST_VALUE:
            refused[number] = TOO_LARGE
            continue
        managed = value[number] + float(fact["cash"] - fact["set_aside_cash"])
        if number not in refused and not managed > SMALLEST_VALUE:
            refused[number] = f"its managed value is {managed:,.2f}: there is nothing to weigh"
    return refused


def _value(units, security, world):
    return np.nan_to_num(units * world.price[security] / UNITS_PER_SHARE)


def _sweep_cents(outside, world, accounts):
    """Cents that each account's sweeps are worth."""
    sweeps = outside.reason == Reason.COUNTS_AS_CASH
    micros = np.rint(np.nan_to_num(world.price[outside.security[sweeps]]) * UNITS_PER_SHARE).astype(np.int64)
    return _sums(outside.account[sweeps], cents(outside.units[sweeps], micros), accounts)


def _assemble(facts, rows, outside, templates, rules, world, prices, refused, trade_date):
    """Drop the refused accounts and build the Book of the others."""
    kept = np.array([number for number in range(len(facts)) if number not in refused], dtype=np.int64)
    renumber = np.full(len(facts), NOBODY, dtype=np.int64)
    renumber[kept] = np.arange(len(kept))
    stays = renumber[rows.account] != NOBODY
    for name in ("account", "sleeve", "security", "units", "weights", "triggers"):
        setattr(rows, name, getattr(rows, name)[stays])
    rows.account = renumber[rows.account]
    around = renumber[outside.account] != NOBODY
    sweep_cents = _sweep_cents(outside, world, len(facts))[kept]
    outside = Outside(
        renumber[outside.account[around]],
        outside.sleeve[around],
        world.security_ids[outside.security[around]],
        outside.units[around],
        outside.reason[around],
    )
    remaining = [facts[number] for number in kept]
    why, other = _why(remaining, rows, rules, world)
    lots = _lots(remaining, rows, world)
    book = _book(remaining, rows, [templates[number] for number in kept], why, lots, sweep_cents, world)
    market_cents, managed_cents = _values(book, outside, world)
    versions = PortfolioVersion.objects.filter(portfolio__in={fact["target"] for fact in facts} - {None})
    newest = versions.order_by("portfolio_id", "-number").distinct("portfolio_id")
    return Loaded(
        book=book,
        facts=remaining,
        refused={facts[number]["pk"]: reason for number, reason in refused.items()},
        refused_facts={facts[number]["pk"]: facts[number] for number in refused},
        sleeve_id=world.sleeve_ids[rows.sleeve],
        security_id=world.security_ids[rows.security],
        rules=rules,
        other=other,
        lot_id=lots["id"],
        outside=outside,
        market_cents=market_cents,
        managed_cents=managed_cents,
        sleeves=world.sleeve_names,
        symbols={one.pk: one.symbol for one in world.securities},
        prices=prices.usable,
        versions={version.portfolio_id: version for version in newest},
        trade_date=trade_date,
    )


def _why(facts, rows, rules, world):
    """The Reason that restrictions or an inactive security put on each row, and the other symbol some of them name."""
    why = np.where(world.active[rows.security], Reason.NONE, Reason.INACTIVE).astype(np.int8)
    other = {}
    key = rows.account * len(world.securities) + rows.security
    order = np.argsort(key, kind="stable")
    for number, fact in enumerate(facts):
        for symbol, reason, named in _marks(rules.get(fact["pk"], ())):
            wanted = number * len(world.securities) + world.security_of[symbol]
            first, last = np.searchsorted(key[order], [wanted, wanted + 1])
            for row in order[first:last]:
                if reason != Reason.SUBSTITUTE_FOR or (rows.weights[row, 0] > 0 and not why[row]):
                    why[row] = reason
                    other[int(row)] = named
    return why, other


def _marks(rules):
    """(symbol, Reason, other symbol) of each security that these restrictions concern."""
    for kind, symbol, substitute in rules:
        if kind == Restriction.Kind.SUBSTITUTE:
            yield symbol, Reason.REPLACED_BY, substitute
            yield substitute, Reason.SUBSTITUTE_FOR, symbol
        else:
            yield symbol, RESTRICTED[kind], ""


def _lots(facts, rows, world):
    """Lots in the order of rows and in age order inside each; `start` is added: the first lot of each row."""
    pks = [fact["pk"] for fact in facts]
    found = read_array(LOTS, [pks], LOT_COLUMNS)
    found = found[found["sleeve"] != world.protected]
    security = _number_of(world.security_ids)[found["security"]]
    found, security = found[~world.is_sweep[security]], security[~world.is_sweep[security]]
    account = np.searchsorted(np.array(pks, dtype=np.int64), found["account"])
    sleeve = _number_of(world.sleeve_ids)[found["sleeve"]]
    row = np.searchsorted(_key(rows.account, rows.sleeve, rows.security, world), _key(account, sleeve, security, world))
    order = np.argsort(row, kind="stable")
    lots = {name: found[name][order] for name in ("id", "units", "cost_cents", "acquired")}
    return lots | {"start": np.searchsorted(row[order], np.arange(len(rows.units) + 1)).astype(np.int64)}


def _book(facts, rows, templates, why, lots, sweep_cents, world):
    cash = np.array([template.cash for template in templates]).reshape(len(templates), 5)
    target, lower, upper, fit_lower, fit_upper = (np.ascontiguousarray(column) for column in rows.weights.T)
    return Book(
        account=np.array([fact["pk"] for fact in facts], dtype=np.int64),
        cash_cents=_cents(facts, "cash") + sweep_cents,
        set_aside_cents=_cents(facts, "set_aside_cash"),
        reserved_cents=_cents(facts, "reserved"),
        minimum_dollars=np.array([template.minimum_dollars for template in templates], dtype=np.float64),
        minimum_weight=np.array([template.minimum_weight for template in templates], dtype=np.float64),
        method=np.array([METHODS[fact["lot_method"]] for fact in facts], dtype=np.int8),
        cash_target=cash[:, 0].copy(),
        cash_lower=cash[:, 1].copy(),
        cash_upper=cash[:, 2].copy(),
        cash_fit_lower=cash[:, 3].copy(),
        cash_fit_upper=cash[:, 4].copy(),
        cash_triggers=np.array([template.cash_triggers for template in templates], dtype=bool),
        start=np.searchsorted(rows.account, np.arange(len(facts) + 1)).astype(np.int64),
        sleeve=rows.sleeve.astype(np.int32),
        security=rows.security.astype(np.int32),
        units=rows.units,
        step=world.step[rows.security],
        price=world.price[rows.security],
        target=target,
        lower=lower,
        upper=upper,
        fit_lower=fit_lower,
        fit_upper=fit_upper,
        triggers=rows.triggers,
        may_buy=~np.isin(why, FORBIDS_BUYS) & world.active[rows.security],
        may_sell=~np.isin(why, FORBIDS_SALES),
        why=why,
        lot_start=lots["start"],
        lot_units=lots["units"],
        lot_cost_cents=lots["cost_cents"],
        lot_acquired=lots["acquired"],
    )


def _cents(facts, name):
    return np.array([int((fact[name] * 100).to_integral_value()) for fact in facts], dtype=np.int64)


def _values(book, outside, world):
    """Market and managed value of each account in cents, int64 (accounts,): every position is rounded, then summed."""
    micros = np.rint(np.nan_to_num(world.price) * UNITS_PER_SHARE).astype(np.int64)
    owner = np.repeat(np.arange(len(book.account)), np.diff(book.start))
    held = _sums(owner, cents(book.units, micros[book.security]), len(book.account))
    protected = outside.reason == Reason.PROTECTED
    price = micros[_number_of(world.security_ids)[outside.security[protected]]]
    aside = _sums(outside.account[protected], cents(outside.units[protected], price), len(book.account))
    return held + aside + book.cash_cents, held + book.cash_cents - book.set_aside_cents


def _sums(group, values, groups):
    """Exact sums of int64 values by group number."""
    total = np.zeros(groups, dtype=np.int64)
    np.add.at(total, group, values)
    return total
