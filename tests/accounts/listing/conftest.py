from datetime import date
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group

from accounts.models import Account, Custodian, Household, User


@pytest.fixture
def operator(db):
    user = User.objects.create_user("operator", password="secret")
    user.groups.add(Group.objects.get_or_create(name="Operations")[0])
    return user


@pytest.fixture
def accounts(db):
    """Six accounts: cash −50, 0, 500, 1,000, 1,500, 9,000; the last two at Fidelity, the others at Schwab."""
    schwab, fidelity = (Custodian.objects.create(name=name) for name in ("Schwab", "Fidelity"))
    Household.objects.create(name="nobody's")
    cash = ["-50", "0", "500", "1000", "1500", "9000"]
    return [
        Account.objects.create(
            number=f"100{index}",
            name=["Alder", "Berg", "=Castell", "Dunmore", "Esz", "Fair"][index],
            custodian=fidelity if index > 3 else schwab,
            cash=Decimal(amount),
            last_rebalanced=None if index == 5 else date(2026, 11, 10 + index),
            rebalancing_on=index != 0,
            tax_status="taxable" if index % 2 else "tax_exempt",
        )
        for index, amount in enumerate(cash)
    ]


@pytest.fixture
def fetch(client, operator, accounts):
    """Fetch the example page; the answer's rows by number are in `.numbers`."""
    client.force_login(operator)

    def get(query="", **headers):
        response = client.get(f"/accounts/{query}", headers=headers)
        table = response.context and response.context.get("table")
        response.numbers = table and [row.label.split()[0] for row in table.drawn]
        return response

    return get
