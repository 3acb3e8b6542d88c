"""What people send from an order ticket: shares as they were typed, and how orders are to be executed."""

import re
from dataclasses import dataclass, field
from decimal import Decimal

from django import forms

from trading.services.executing import Execution
from trading.services.lines import Chosen
from trading.states import Algorithm

NOT_A_NUMBER = Decimal("NaN")
PLAIN = re.compile(r"[+-]?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]*)?|[+-]?\.[0-9]+")
LONGEST = 40  # characters of a number that is kept for the person to correct
KINDS = {"line": "lines", "order": "orders", "account": "accounts"}


def number(text: str) -> Decimal:
    """What was typed as a quantity, in plain digits or with commas at the thousands; NaN where it is neither.

    A comma elsewhere may be meant for a point, so 1,5 is no number rather than 15.
    """
    bare = text.replace("\N{NO-BREAK SPACE}", "").replace("\N{MINUS SIGN}", "-").strip()
    return Decimal(bare.replace(",", "")) if PLAIN.fullmatch(bare) else NOT_A_NUMBER


@dataclass(slots=True)
class Typed:
    """Shares as they were typed, by allocation id and by order id."""

    lines: dict[int, str] = field(default_factory=dict)
    orders: dict[int, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, data):
        """From fields named line-12 and order-3; others are of no interest."""
        found = cls()
        for name in data:
            kind, _, pk = name.partition("-")
            if kind in ("line", "order") and is_id(pk):
                getattr(found, KINDS[kind])[int(pk)] = data[name][:LONGEST]
        return found

    def fields(self):
        """The fields it came in: (name, text)."""
        lines, orders = self.lines.items(), self.orders.items()
        return [(f"line-{pk}", text) for pk, text in lines] + [(f"order-{pk}", text) for pk, text in orders]

    def quantities(self):
        return {pk: number(text) for pk, text in self.lines.items()}

    def totals(self):
        return {pk: number(text) for pk, text in self.orders.items()}


def is_id(text: str) -> bool:
    """Whether it may be the id of something; longer than that, Python would not even read it."""
    return text.isascii() and text.isdecimal() and len(text) < 19


def chosen(text: str) -> Chosen | None:
    """What a button names: line-12, order-3 or account-7; None where it is damaged."""
    kind, _, pk = text.partition("-")
    if kind not in KINDS or not is_id(pk):
        return None
    return Chosen(**{KINDS[kind]: (int(pk),)})


class ExecutionForm(forms.Form):
    algorithm = forms.ChoiceField(
        label="Algorithm", error_messages={"invalid_choice": "Choose one of these: only funds have NAV orders."}
    )
    limit_price = forms.DecimalField(
        label="Limit price", required=False, max_digits=18, decimal_places=6, help_text="Of a limit order, in dollars."
    )
    starts_at = forms.TimeField(
        label="Start", required=False, help_text="Of a TWAP or VWAP, in the market's time zone."
    )
    ends_at = forms.TimeField(label="End", required=False, help_text="Within the regular session.")
    participation = forms.DecimalField(
        label="Participation", required=False, max_digits=12, decimal_places=6,
        help_text="At most so many percent of the market's volume, 0.1 to 100; empty: no limit.",
    )  # fmt: skip
    extended_hours = forms.BooleanField(
        label="Outside regular trading hours", required=False, help_text="With a limit price, for the day."
    )

    def __init__(self, *args, fund=False, **options):
        super().__init__(*args, **options)
        nav = Algorithm.NAV
        self.fields["algorithm"].choices = [one for one in Algorithm.choices if (one[0] == nav) is fund]
        for name, one in self.fields.items():
            one.error_messages["invalid"] = {"limit_price": "Not a price.", "participation": "Not a number."}.get(
                name, "Not a time: write it as 10:00."
            )
            css = {"algorithm": "form-select", "extended_hours": "form-check-input"}.get(name, "form-control")
            one.widget.attrs["class"] = css
        for name in ("starts_at", "ends_at"):
            self.fields[name].widget.input_type = "time"
            self.fields[name].widget.format = "%H:%M"
        for name in ("limit_price", "participation"):
            self.fields[name].widget.input_type = "text"
            self.fields[name].widget.attrs["inputmode"] = "decimal"

    def execution(self) -> Execution:
        return Execution(**{**self.cleaned_data, "algorithm": Algorithm(self.cleaned_data["algorithm"])})

    def refuse(self, fields: dict[str, str]):
        """Show what the service refused beside the fields."""
        for name, words in fields.items():
            self.add_error(name, words)
