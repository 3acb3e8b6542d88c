from decimal import Decimal

import pytest

from accounts.models import Account, Position
from tax.models import Lot
from tests import factories as make
from trading import sessions


@pytest.fixture
def desk(transactional_db):
    return make.operations("olive")


@pytest.fixture
def many(transactional_db):
    """Makes a number of accounts with 75 % VTI, 20 % AGG and 5 % cash, held to 60 / 38 / 2."""
    make.price("VTI", 100)
    make.price("AGG", 50)
    portfolio = make.portfolio("Balanced", VTI=60, AGG=38)
    sleeve = make.sleeve()
    held = {make.security("VTI"): 750, make.security("AGG"): 400}
    common = {"portfolio": portfolio, "custodian": make.custodian(), "rebalancing_on": True, "cash": Decimal(5000)}
    common["delivered_for"] = sessions.last_completed_session()

    def make_many(count):
        accounts = Account.objects.bulk_create(
            Account(number=f"A{number:05d}", name=f"Account {number}", **common) for number in range(count)
        )
        place = [
            {"account": account, "sleeve": sleeve, "security": security, "quantity": Decimal(quantity)}
            for account in accounts
            for security, quantity in held.items()
        ]
        Position.objects.bulk_create(Position(**one) for one in place)
        Lot.objects.bulk_create(Lot(**one, lot_id="L", acquired_on="2020-01-02", total_cost=20000) for one in place)
        return accounts

    return make_many
