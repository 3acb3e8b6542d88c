"""What people send from the Rebalancer's tabs."""

from django import forms

from rebalancer.states import Logic

OFFERED = [(logic.value, logic.label) for logic in (Logic.BEST_FIT, Logic.MIN_TRANSACTION)]


class GenerateForm(forms.Form):
    """The trade logic of a new request; a liquidation is never offered here."""

    logic = forms.ChoiceField(
        choices=OFFERED, error_messages={"required": "Choose a trade logic.", "invalid_choice": "Choose a trade logic."}
    )


class LogicForm(forms.Form):
    """The trade logic a request is switched to."""

    logic = forms.ChoiceField(choices=OFFERED)


class SeenForm(forms.Form):
    """What a person saw of a request when they approved it."""

    version = forms.IntegerField(min_value=1)
    accounts = forms.IntegerField(min_value=1)
    net_dollars = forms.DecimalField(max_digits=20, decimal_places=2)
