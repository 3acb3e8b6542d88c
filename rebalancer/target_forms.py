"""What people type of a portfolio or model: its rows are named by symbol or model, and are right or wrong together.

Everything typed stays typed: a form that is refused is shown again as it was sent, with the field named.
"""

from dataclasses import dataclass

from django import forms
from django.db.models.functions import Upper
from django.utils.functional import cached_property

from accounts.forms import PortfolioForm, RowForm
from accounts.models import Component, Firm, Model, ModelWeight, Portfolio, Security
from accounts.money import plain
from accounts.pictures import KINDS
from accounts.rules import component_problems, resolved, weight_problems
from accounts.targets import BAND_NAMES

CASH = "Cash"
MODEL_PREFIX = "model:"
ROWS_AT_MOST = 1000
NEGATIVE = "A width can't be negative."
LABELS = {
    "held": "Component", "security": "Security", "weight": "Weight", "band_kind": "Bands", "kind": "Cash",
    "threshold_lower": "Threshold below", "threshold_upper": "Threshold above", "precision_lower": "Precision below",
    "precision_upper": "Precision above", "triggers": "Triggers rebalance",
}  # fmt: skip

SETTINGS_LABELS = {
    "threshold_percent": "Threshold, ± % of the weight",
    "precision_percent": "Precision, ± % of the weight",
    "zero_cash_threshold": "Threshold of 0 % cash, %",
    "zero_cash_precision": "Precision of 0 % cash, %",
    "minimum_trade_dollars": "Minimum trade, $",
    "minimum_trade_percent": "Minimum trade, % of value",
}


@dataclass(frozen=True)
class Held:
    """The securities and models that some texts name."""

    securities: dict[str, Security]  # by symbol in capitals
    models: dict[str, Model]  # by name

    @classmethod
    def named(cls, texts):
        texts = [text.strip() for text in texts if "\0" not in text]  # which is in no name
        symbols = {text.upper() for text in texts}
        names = {text.removeprefix(MODEL_PREFIX) for text in texts}
        securities = Security.objects.annotate(capitals=Upper("symbol")).filter(capitals__in=symbols)
        models = Model.objects.filter(name__in=names)
        return cls({one.capitals: one for one in securities}, {one.name: one for one in models})

    def find(self, text):
        """The Security or Model of that name; raises ValidationError where there is none, or one of each."""
        security = None if text.startswith(MODEL_PREFIX) else self.securities.get(text.upper())
        model = self.models.get(text.removeprefix(MODEL_PREFIX))
        if security and model:
            raise forms.ValidationError(f"{text} is a security and a model: write {MODEL_PREFIX}{text} for the model.")
        if not security and not model:
            raise forms.ValidationError(f"There is no security or model {text}.")
        return security or model


class HeldRow(RowForm):
    """A row that names what it holds. One that is left empty is no row."""

    held = forms.CharField(max_length=250, error_messages={"required": "Name a security or model."})
    typed: tuple[str, ...] = ("held", "weight")

    def __init__(self, *args, known, **options):
        super().__init__(*args, **options)
        self.known = known
        for name, field in self.fields.items():
            field.label = LABELS[name]

    def has_changed(self):
        return any((self.data.get(self.add_prefix(name)) or "").strip() for name in self.typed)

    def problems_by_label(self):
        """(field's label, words) of everything wrong with the row."""
        return [(LABELS.get(name, ""), words) for name, lines in self.errors.items() for words in lines]


class ComponentRowForm(HeldRow):
    together = {"portfolio", "kind", "security", "model"}
    typed = ("held", "weight", *BAND_NAMES)

    class Meta:
        model = Component
        fields = ["weight", "band_kind", *BAND_NAMES, "triggers"]
        error_messages = {name: {"min_value": NEGATIVE} for name in BAND_NAMES} | {
            "weight": {"min_value": "A weight can't be negative.", "max_value": "A weight is at most 100 %%."}
        }

    def clean_held(self):
        """Puts what is held into the component; gives the text back as typed."""
        text, row = self.cleaned_data["held"], self.instance
        if text.casefold() == CASH.casefold():
            row.kind = Component.Kind.CASH
            return text
        held = self.known.find(text)
        row.kind = Component.Kind.MODEL if isinstance(held, Model) else Component.Kind.SECURITY
        setattr(row, row.kind, held)
        return text


class WeightRowForm(HeldRow):
    together = {"model", "security"}

    class Meta:
        model = ModelWeight
        fields = ["weight"]
        error_messages = {"weight": {"min_value": "The weight of a security is above 0 %%."}}

    def clean_held(self):
        held = self.known.find(self.cleaned_data["held"])
        if isinstance(held, Model):
            raise forms.ValidationError(f"{held} is a model: a model holds securities only.")
        self.instance.security = held
        return self.cleaned_data["held"]


class Rows(forms.BaseFormSet):
    """The rows of a portfolio or model: `instances()` once they are valid. `whole`: what is wrong with all of them."""

    prefix = "rows"

    def __init__(self, data=None, *, initial=None):
        super().__init__(data, prefix=self.prefix, initial=initial)
        self.whole = []

    def get_form_kwargs(self, index):
        return {"known": self.known}

    @property
    def known(self):
        if not hasattr(self, "_known"):
            self._known = Held.named(self._texts() if self.is_bound else [])
        return self._known

    def _texts(self):
        ends = (f"{self.prefix}-", "-held")
        return [self.data[name] for name in self.data if name.startswith(ends[0]) and name.endswith(ends[1])]

    def initial_form_count(self):
        """None, when something was sent: what is sent are all rows, and an empty one is no row."""
        return 0 if self.is_bound else super().initial_form_count()

    def kept(self):
        return [form for form in self.forms if form.has_changed()]

    def instances(self):
        return [form.instance for form in self.kept()]

    def judge(self, problems):
        """Put the problems of all rows together (rules.Problem) beside the fields they name."""
        for problem in problems:
            if problem.index is None:
                self.whole.append((LABELS[problem.field], problem.words))
            else:
                form = self.kept()[problem.index]
                form.add_error(problem.field if problem.field in form.fields else "held", problem.words)

    def sound(self):
        """Whether each row is valid by itself, and nothing is wrong with all of them."""
        return self.is_valid() and not self.whole and not any(form.errors for form in self.kept())


MOST = {"max_num": ROWS_AT_MOST, "absolute_max": ROWS_AT_MOST, "validate_max": True}
ComponentRows = forms.formset_factory(ComponentRowForm, formset=Rows, extra=1, **MOST)
WeightRows = forms.formset_factory(WeightRowForm, formset=Rows, extra=1, **MOST)


class BegunForm(forms.Form):
    """The version a person began with."""

    version = forms.IntegerField(min_value=1)


class ToldForm(BegunForm):
    """And the number of accounts that the person was told."""

    told = forms.IntegerField(min_value=0)


class TargetForm:
    """The form of a portfolio or model: `target` and `rows` are what to save, once it is valid."""

    def __init__(self, target, data=None):
        self.target, self.bound = target, data is not None
        self.settings = self.settings_of(data)
        self.rows = self.rows_of(data)

    def settings_of(self, data):
        return None

    @cached_property
    def valid(self):
        settings_fine = self.settings is None or self.settings.is_valid()
        if self.rows.is_valid():
            self.rows.judge(self.problems(self.rows.instances()))
        return self.rows.sound() and settings_fine

    def problems_in_words(self):
        """(name of the row or "", field's label, words) of everything that is wrong."""
        found = [("", label, words) for label, words in self.rows.whole]
        if self.settings is not None:
            fields, errors = self.settings.fields, self.settings.errors
            found += [("", fields[name].label if name in fields else "", w) for name in errors for w in errors[name]]
        for place, form in enumerate(self.rows.forms, start=1):
            name = form["held"].value() or f"Row {place}"
            found += [(name, label, words) for label, words in form.problems_by_label()]
        return found + [("", "", words) for words in self.rows.non_form_errors()]


class EditPortfolio(TargetForm):
    def settings_of(self, data):
        firm, form = Firm.current(), PortfolioForm(data, instance=self.target)
        for name, label in SETTINGS_LABELS.items():
            form.fields[name].label = label
            form.fields[name].firm = plain(getattr(firm, name))
            if data is None and form.initial[name] is not None:
                form.initial[name] = plain(form.initial[name])
        return form

    def rows_of(self, data):
        return ComponentRows(data, initial=None if self.bound else self._typed())

    def _typed(self):
        """The components as they are typed, cash last."""
        found = list(self.target.components.select_related("security", "model"))
        found.sort(key=lambda one: (KINDS.index(one.kind), -one.weight, str(one)))
        names = Held.named(one.model.name for one in found if one.model)
        return [_typed(one, twofold=str(one).upper() in names.securities) for one in found]

    def problems(self, rows):
        return component_problems(rows, resolved(self.target, Firm.current()))


class EditModel(TargetForm):
    def rows_of(self, data):
        weights = [] if self.bound else self.target.weights.select_related("security")
        return WeightRows(data, initial=[{"held": w.security.symbol, "weight": plain(w.weight)} for w in weights])

    def problems(self, rows):
        return weight_problems(rows)


def _typed(component, twofold):
    """A component as it is typed; `twofold`: there is a security of the same name, too."""
    widths = {name: getattr(component, name) for name in ("weight", *BAND_NAMES)}
    shown = {name: "" if value is None else plain(value) for name, value in widths.items()}
    prefix = MODEL_PREFIX if component.model and twofold else ""
    more = {"held": f"{prefix}{component}", "band_kind": component.band_kind, "triggers": component.triggers}
    return shown | more


def offered(target):
    """What can be typed: pairs of name and what it is; models only for a portfolio."""
    securities = Security.objects.filter(is_active=True).exclude(kind=Security.Kind.SWEEP).order_by("symbol")
    models = Model.objects.order_by("name") if isinstance(target, Portfolio) else Model.objects.none()
    return [*((one.name, "Model") for one in models), *securities.values_list("symbol", "name")]
