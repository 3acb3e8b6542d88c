"""Booking of the moves that need no order: shares that change the sleeve inside an account."""

from collections import defaultdict
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from accounts.money import UNITS_PER_SHARE
from accounts.services import audit
from accounts.services.refusals import Refused
from tax.services.moving import Move, move_many
from trading.models import Allocation, FlatMove, Ticket
from trading.states import Side


@transaction.atomic
def book_moves(ticket: Ticket) -> int:
    """Book the open flat moves of a confirmed ticket, once; return how many.

    Oldest lots first, but not those that the ticket's open sells are to take: these have their lots first. The moves
    of an account that was left out of every order of the ticket are dropped.
    """
    moves = list(_open_moves(ticket))
    if not moves:
        return 0
    left_out = _left_out(ticket, {move.account_id for move in moves})
    _close([move.pk for move in moves if move.account_id in left_out], booked_at=None)
    return _book(ticket, [move for move in moves if move.account_id not in left_out])


@transaction.atomic
def book_moves_without_orders(ticket: Ticket) -> int:
    """Book the open flat moves of accounts that have no order in the ticket, once; return how many.

    Raises Refused where a sleeve holds too little.
    """
    ordered = Allocation.objects.filter(order__ticket=ticket).values("account")
    moves = list(_open_moves(ticket).exclude(account__in=ordered))
    for words in move_many(_rows(moves)).values():
        raise Refused(words)
    _close([move.pk for move in moves], booked_at=timezone.now())
    return len(moves)


def _open_moves(ticket):
    Ticket.objects.select_for_update(no_key=True).get(pk=ticket.pk)
    return FlatMove.objects.select_for_update(of=("self",)).filter(ticket=ticket, is_open=True).order_by("pk")


def _left_out(ticket, accounts):
    """Those of these accounts that have orders in the ticket, but no shares in any of them any more."""
    asked = Allocation.objects.filter(order__ticket=ticket, account__in=accounts).values("account")
    return {row["account"] for row in asked.annotate(asked=Sum("quantity")) if not row["asked"]}


def _book(ticket, moves):
    """Book these moves; one that its sleeve can't give is dropped, and an audit line says why."""
    refused = move_many(_rows(moves), _to_be_sold(ticket, {move.account_id for move in moves}))
    for words in refused.values():
        audit.record(None, "flat_move.dropped", ticket, why=words)
    _close([moves[number].pk for number in refused], booked_at=None)
    booked = [move.pk for number, move in enumerate(moves) if number not in refused]
    _close(booked, booked_at=timezone.now())
    return len(booked)


def _rows(moves):
    return [
        Move(move.account_id, move.security_id, move.source_id, move.target_id, int(move.quantity * UNITS_PER_SHARE))
        for move in moves
    ]


def _to_be_sold(ticket, accounts):
    """{(account id, sleeve id, security id): {lot id: units}} of the lots that open sells of the ticket are to take."""
    sells = Allocation.objects.filter(
        order__ticket=ticket, order__side=Side.SELL, account__in=accounts, is_open=True, quantity__gt=0
    )
    found: dict[tuple[int, int, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for account, sleeve, security, lots in sells.values_list("account", "sleeve", "order__security", "lots"):
        for lot_id, quantity in lots:
            found[account, sleeve, security][lot_id] += int(Decimal(quantity) * UNITS_PER_SHARE)
    return found


def _close(pks, booked_at):
    FlatMove.objects.filter(pk__in=pks).update(is_open=False, booked_at=booked_at)
