"""Shares that change the sleeve inside an account: their lots go with cost and date, oldest first."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db import transaction

from accounts.imports.copying import arrive, copy_rows, execute, fetch, lock_accounts
from accounts.models import Account, Security, Sleeve
from accounts.money import UNITS_PER_SHARE, part_of, plain, shares
from accounts.services.refusals import Refused
from tax.models import Lot
from tax.relief import UNKNOWN
from tax.services.bookings import LOT_COLUMNS, sum_up
from tax.services.lots import free_id

Place = tuple[int, int, int]  # account id, sleeve id, security id


@dataclass(frozen=True, slots=True)
class Move:
    """Shares of a security that change the sleeve; `units` are millionths of a share, above 0."""

    account_id: int
    security_id: int
    source_id: int
    target_id: int
    units: int

    def __post_init__(self):
        assert self.units > 0, "a move has shares"
        assert self.source_id != self.target_id, "a move has two sleeves"

    @property
    def source(self) -> Place:
        return self.account_id, self.source_id, self.security_id

    @property
    def target(self) -> Place:
        return self.account_id, self.target_id, self.security_id


def move_lots(account, security, source, target, quantity) -> None:
    """Move shares of a security from one sleeve of an account to another, oldest lots first, with cost and date.

    A lot of which only a part goes is split: the part takes cost × part / quantity, rounded half up to the cent, the
    rest keeps what is left. Raises Refused when the source holds less than `quantity` (Decimal shares, above 0).
    """
    refused = move_many([Move(account.pk, security.pk, source.pk, target.pk, int(quantity * UNITS_PER_SHARE))])
    for words in refused.values():
        raise Refused(words)


@transaction.atomic
def move_many(moves: Sequence[Move], kept: Mapping[Place, Mapping[str, int]] | None = None) -> dict[int, str]:
    """Carry out moves in their order; return {number of a move: why not} of those whose source holds too little.

    `kept` are lots that stay, {(account id, sleeve id, security id): {lot id: units}}: another trade has its lots
    first. Asks for checks of the accounts.
    """
    if not moves:
        return {}
    arrive("moving", MOVING, {(*place,) for move in moves for place in (move.source, move.target)})
    lock_accounts("SELECT account_id FROM moving")
    shelf = _Shelf(kept or {})
    refused = {}
    for number, move in enumerate(moves):
        short = shelf.move(move)
        if short is not None:
            refused[number] = _too_little(move, *short)
    shelf.write()
    moved = [move for number, move in enumerate(moves) if number not in refused]
    if moved:
        sum_up({place for move in moved for place in (move.source, move.target)})
        Account.objects.filter(pk__in={move.account_id for move in moved}).want_check()
    return refused


MOVING = {"account_id": "bigint", "sleeve_id": "bigint", "security_id": "bigint"}
STANDING = f"""
    SELECT account_id, sleeve_id, security_id, l.id, l.lot_id, (l.quantity * {UNITS_PER_SHARE})::bigint,
        COALESCE((l.total_cost * 100)::bigint, {UNKNOWN}), l.acquired_on
    FROM moving JOIN tax_lot l USING (account_id, sleeve_id, security_id)
    ORDER BY account_id, sleeve_id, security_id, l.acquired_on, l.lot_id
"""
CHANGED = {"id": "bigint", "quantity": "numeric(20,6)", "total_cost": "numeric(18,2)"}
GONE = "DELETE FROM tax_lot l USING changed_lots c WHERE l.id = c.id AND c.quantity = 0"
CHANGE = """
    UPDATE tax_lot l SET quantity = c.quantity, total_cost = c.total_cost FROM changed_lots c WHERE l.id = c.id
"""


@dataclass(slots=True)
class _Lot:
    pk: int | None  # None: it is new
    lot_id: str
    units: int
    cents: int
    acquired: date

    @property
    def cost(self):
        return None if self.cents == UNKNOWN else f"{self.cents}e-2"


@dataclass(slots=True)
class _Shelf:
    """The lots of all places concerned while moves are carried out, and those that changed."""

    kept: Mapping[Place, Mapping[str, int]]
    lots: dict[Place, list[_Lot]] = field(default_factory=lambda: defaultdict(list))
    changed: dict[int, _Lot] = field(default_factory=dict)

    def __post_init__(self):
        for *place, pk, lot_id, units, cents, acquired in fetch(STANDING):
            account, sleeve, security = place
            self.lots[account, sleeve, security].append(_Lot(pk, lot_id, units, cents, acquired))

    def move(self, move):
        """Carry a move out; where its source has too little do nothing and return (units held, units kept)."""
        leaving = sorted(self.lots[move.source], key=lambda lot: (lot.acquired, lot.lot_id.encode()))
        stays = self.kept.get(move.source, {})
        free = [max(lot.units - stays.get(lot.lot_id, 0), 0) for lot in leaving]
        if sum(free) < move.units:
            held = sum(lot.units for lot in leaving)
            return held, held - sum(free)
        left = move.units
        for lot, most in zip(leaving, free, strict=True):
            if part := min(most, left):
                self._part(lot, part, move)
                left -= part
        self.lots[move.source] = [lot for lot in leaving if lot.units]
        return None

    def _part(self, lot, part, move):
        """Take a part off a lot, and put it on the target's shelf."""
        cents = UNKNOWN if lot.cents == UNKNOWN else part_of(lot.cents, part, lot.units)
        lot.units -= part
        if cents != UNKNOWN:
            lot.cents -= cents
        self._note(lot)
        there = {one.lot_id: one for one in self.lots[move.target]}
        same = there.get(lot.lot_id)
        if same and same.acquired == lot.acquired and (same.cents == UNKNOWN) == (cents == UNKNOWN):
            same.units += part
            same.cents += 0 if cents == UNKNOWN else cents
            self._note(same)
        else:
            lot_id = free_id(lot.lot_id, there)
            self.lots[move.target].append(_Lot(None, lot_id, part, cents, lot.acquired))

    def _note(self, lot):
        if lot.pk is not None:
            self.changed[lot.pk] = lot

    def write(self):
        rows = ((pk, f"{lot.units}e-6", lot.cost) for pk, lot in self.changed.items())
        arrive("changed_lots", CHANGED, rows)
        execute(GONE)
        execute(CHANGE)
        new = ((place, lot) for place, lots in self.lots.items() for lot in lots if lot.pk is None)
        copy_rows(Lot._meta.db_table, LOT_COLUMNS, self._rows(new))

    def _rows(self, new: Iterable[tuple[Place, _Lot]]):
        for place, lot in new:
            yield *place, lot.lot_id, f"{lot.units}e-6", lot.cost, lot.acquired


def _too_little(move, held, kept):
    account = Account.objects.get(pk=move.account_id)
    security = Security.objects.get(pk=move.security_id)
    source = Sleeve.objects.select_related("model").get(pk=move.source_id)
    sold = f", of which {plain(shares(kept))} are to be sold" if kept else ""
    quantity = plain(shares(Decimal(move.units)))
    return f"Account {account.number} holds {plain(shares(held))} {security} in its sleeve {source}{sold}: " + (
        f"{quantity} can't be moved."
    )
