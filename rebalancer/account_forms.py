"""What people send from an account's page."""

import re
from decimal import Decimal

from django import forms

from accounts.listing.filters import NUMBER, YEARS
from accounts.models import Portfolio, Restriction, Security
from accounts.services.accounts import restriction_words
from rebalancer.forms import OFFERED
from rebalancer.states import Logic

NOT_LINKED = "This portfolio is not linked with the account any more. Choose another one."
CHOOSE = "Choose a portfolio."
CHOOSE_LOGIC = "Choose a trade logic."
DIGITS = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)  # what Decimal takes besides, like 1e5, nobody means
OFF = "Rebalancing is off for this account: confirm that it is to be proposed all the same."


class DollarsField(forms.DecimalField):
    """Dollars, typed as 10000, 10,000 or $10,000.50."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "class": "form-control", "autocomplete": "off"})

    def __init__(self, **options):
        words = {"required": "Type an amount; 0 for none.", "invalid": "This is not an amount, like 10,000.00."}
        super().__init__(max_digits=18, decimal_places=2, error_messages=words, **options)

    def to_python(self, value):
        if isinstance(value, str):
            value = self._without_commas(value.strip())
            if value and not DIGITS.fullmatch(value):
                raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)

    @staticmethod
    def _without_commas(typed):
        """Commas part thousands and nothing else: 1,5 is not 15."""
        number = typed.removeprefix("$")
        return number.replace(",", "") if NUMBER.fullmatch(number) else number


class SymbolField(forms.CharField):
    """A security by its symbol, whatever its capitals."""

    widget = forms.TextInput(attrs={"class": "form-control", "autocomplete": "off", "list": "symbols", "maxlength": 20})

    def clean(self, value):
        symbol = super().clean(value)
        if not symbol:
            return None
        same = list(Security.objects.filter(symbol__iexact=symbol))
        found = next((one for one in same if one.symbol == symbol), next(iter(same), None))
        if found is None:
            raise forms.ValidationError(f"There is no security {symbol[:40]}.")
        return found


class DayField(forms.DateField):
    widget = forms.DateInput(attrs={"type": "date", "class": "form-control"}, format="%Y-%m-%d")

    def __init__(self, **options):
        super().__init__(input_formats=["%Y-%m-%d"], error_messages={"invalid": "This is not a day."}, **options)

    def clean(self, value):
        day = super().clean(value)
        if day is not None and day.year not in YEARS:
            raise forms.ValidationError(f"This is not a day between {YEARS[0]} and {YEARS[-1]}.")
        return day


class AccountForm(forms.Form):
    """A form about one account, which it shows and judges."""

    def __init__(self, *args, account, **kwargs):
        self.account = account
        super().__init__(*args, **kwargs)


class SetAsideForm(AccountForm):
    """The cash that is not to be invested; `seen` is what the page showed."""

    amount = DollarsField(label="Set-aside cash, in dollars", min_value=Decimal(0))
    seen = forms.DecimalField(widget=forms.HiddenInput, max_digits=18, decimal_places=2)


class RestrictionForm(AccountForm):
    """A restriction; `seen` says in words what stood there when the page was drawn."""

    security = SymbolField(label="Security")
    kind = forms.ChoiceField(
        label="Restriction", choices=Restriction.Kind.choices, widget=forms.Select(attrs={"class": "form-select"})
    )
    substitute = SymbolField(label="Substitute", required=False, help_text="Held instead; only for a substitute.")
    start = DayField(label="First day")
    end = DayField(label="Last day", required=False, help_text="Included; empty: until further notice.")
    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, restriction=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.restriction = restriction
        if restriction is not None:
            self.fields["security"].disabled = True
            self.initial = self.initial | {
                "security": restriction.security.symbol, "kind": restriction.kind, "start": restriction.start,
                "end": restriction.end, "substitute": restriction.substitute and restriction.substitute.symbol,
                "seen": restriction_words(restriction),
            }  # fmt: skip

    def clean(self):
        found = super().clean()
        kind, substitute = found.get("kind"), found.get("substitute")
        if kind == Restriction.Kind.SUBSTITUTE and not substitute and "substitute" not in self.errors:
            self.add_error("substitute", "Name the security that is held instead.")
        if kind and kind != Restriction.Kind.SUBSTITUTE and substitute:
            self.add_error("substitute", "Only the restriction Substitute names one.")
        return found


class ConfirmForm(AccountForm):
    """A command without choices; `seen` says what the page showed."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False)


class SwitchForm(AccountForm):
    """Rebalancing on or off: which of them is sent, so that a page of before never turns it the wrong way."""

    on = forms.TypedChoiceField(
        choices=[("yes", "on"), ("no", "off")], coerce=lambda value: value == "yes", widget=forms.HiddenInput
    )


class RebalanceForm(AccountForm):
    """A request of this account: the portfolio it is held to, and the trade logic. `was` is the portfolio that the page
    showed as its own."""

    portfolio = forms.ChoiceField(
        label="Portfolio", widget=forms.RadioSelect, error_messages={"required": CHOOSE, "invalid_choice": NOT_LINKED}
    )
    logic = forms.ChoiceField(
        label="Trade logic", choices=OFFERED, widget=forms.RadioSelect, initial=Logic.BEST_FIT,
        error_messages={"required": CHOOSE_LOGIC, "invalid_choice": CHOOSE_LOGIC},
    )  # fmt: skip
    although_off = forms.BooleanField(
        label="Rebalancing is off for this account. Propose it all the same; it stays off.", required=False
    )

    was = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, portfolios, **kwargs):
        super().__init__(*args, **kwargs)
        self.portfolios = {str(one.pk): one for one in portfolios}
        self.fields["portfolio"].choices = [(pk, one.name) for pk, one in self.portfolios.items()]
        own = str(self.account.portfolio_id or "")
        self.initial = {"portfolio": own, "was": own} | self.initial
        if self.account.rebalancing_on:
            del self.fields["although_off"]

    def clean_portfolio(self) -> Portfolio:
        return self.portfolios[self.cleaned_data["portfolio"]]

    def clean(self):
        found = super().clean()
        if "although_off" in self.fields and not found.get("although_off"):
            self.add_error("although_off", OFF)
        return found


class PortfolioForm(RebalanceForm):
    """Another portfolio among the linked ones, and three questions: assign it, switch rebalancing on, rebalance now."""

    assign = forms.BooleanField(label="Assign it now", required=False, initial=True)
    switch_on = forms.BooleanField(label="Switch rebalancing on", required=False)
    rebalance = forms.BooleanField(label="Rebalance now: open a request of this account", required=False)

    def __init__(self, *args, may_rebalance, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["logic"].required = False
        self.fields["logic"].label = "Trade logic, where it is rebalanced now"
        if self.account.rebalancing_on:
            del self.fields["switch_on"]
        if not may_rebalance and not self.data.get("rebalance"):  # asked for, it is refused, not dropped
            for name in ("rebalance", "logic", "although_off"):
                self.fields.pop(name, None)

    def clean(self):
        found = forms.Form.clean(self)
        asked = [name for name in ("assign", "switch_on", "rebalance") if found.get(name)]
        if not asked:
            self.add_error(None, "Choose what is to be done with it.")
        if found.get("rebalance") and not found.get("logic") and "logic" not in self.errors:
            self.add_error("logic", CHOOSE_LOGIC)
        off = "although_off" in self.fields and not found.get("switch_on")
        if found.get("rebalance") and off and not found.get("although_off"):
            self.add_error("although_off", OFF)
        return found
