"""A small firm: one portfolio, accounts out of balance, people of two roles."""

from decimal import Decimal

import pytest

from accounts.models import Account
from rebalancer import selectors
from rebalancer.models import Batch
from rebalancer.services import batches
from rebalancer.states import Logic
from tests import factories as make


@pytest.fixture
def desk(db):
    """Somebody of Operations."""
    return make.operations("olive")


@pytest.fixture
def ann(db):
    return make.advisor("ann")


@pytest.fixture
def as_ann(client, ann):
    client.force_login(ann)
    return client


@pytest.fixture
def as_desk(client, desk):
    client.force_login(desk)
    return client


@pytest.fixture
def olive(client, desk):
    """A client signed in as somebody of Operations."""
    client.force_login(desk)
    return client


@pytest.fixture
def anns(client, ann):
    """A client signed in as Ann."""
    client.force_login(ann)
    return client


@pytest.fixture
def balanced(db):
    """60 % VTI at $100, 38 % AGG at $50, 2 % cash."""
    make.price("VTI", 100)
    make.price("AGG", 50)
    return make.portfolio("Balanced", VTI=60, AGG=38)


def drifted(balanced, number, **fields):
    """An account of $100,000 with 75 % VTI, 20 % AGG and 5 % cash."""
    account = make.account(number, portfolio=balanced, cash=Decimal(5000), **fields)
    make.lot(account, "VTI", 750, cost=60000)
    make.lot(account, "AGG", 400, cost=22000)
    return account


@pytest.fixture
def three(balanced, ann):
    """Three drifted accounts, A1 and A2 of Ann, A3 of nobody."""
    return [drifted(balanced, "A1", advisor=ann), drifted(balanced, "A2", advisor=ann), drifted(balanced, "A3")]


def chosen(*accounts):
    return Account.objects.filter(pk__in=[account.pk for account in accounts])


def opened(by, *accounts, logic=Logic.BEST_FIT, **terms):
    return batches.open_batch(by=by, accounts=chosen(*accounts), shown=len(accounts), logic=logic, **terms)


def pending(by, *accounts, **terms):
    """A batch of these accounts, proposed in this process."""
    batch = opened(by, *accounts, **terms).batch
    batches.propose_batch(batch.pk)
    return again(batch)


def again(row):
    """The row as it is in the database now."""
    return type(row)._default_manager.get(pk=row.pk)


def as_seen(batch: Batch):
    """What the page of a pending batch shows, as approve takes it."""
    stake = selectors.stake(batch)
    return {"version": again(batch).proposal_version, "accounts": stake.accounts, "net_dollars": stake.net_dollars}


def states(batch):
    """{account number: entry state}."""
    return dict(batch.entries.values_list("account_number", "state"))
