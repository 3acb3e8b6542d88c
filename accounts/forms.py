"""The sign-in form, and those of Django admin, which check by the rules of the services, so that problems show beside
their fields."""

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UserChangeForm, UserCreationForm
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet

from accounts.models import (
    Account,
    Component,
    Firm,
    ModelWeight,
    Portfolio,
    Restriction,
    Role,
    Security,
    User,
)
from accounts.rules import (
    SETTINGS,
    component_problems,
    name_problems,
    resolved,
    restriction_problems,
    settings_problems,
    weight_problems,
)
from accounts.services.accounts import account_problems
from accounts.services.firms import firm_problems
from accounts.services.records import person_problems, security_problems
from accounts.targets import BAND_NAMES


def show(form, problems):
    """Put problems beside the fields of a form; what concerns none of its fields goes on top."""
    for problem in problems:
        form.add_error(problem.field if problem.field in form.fields else None, problem.words)


class RowsFormSet(BaseInlineFormSet):
    """Rows that are right or wrong together: `problems(rows)` says what is wrong with those that will stay."""

    def clean(self):
        super().clean()
        forms_kept = self.kept()
        if not self.management_form.is_valid() or any(form.errors for form in forms_kept):
            return
        whole = []
        for problem in self.problems([form.instance for form in forms_kept]):
            if problem.index is None:
                whole.append(problem.words)
            else:
                show(forms_kept[problem.index], [problem])
        if whole:
            raise ValidationError(whole)

    def kept(self):
        """The forms of the rows that will be there after saving: filled in, and not to be deleted."""
        bound = [form for form in self.forms if form not in self.deleted_forms]
        return [form for form in bound if form.instance.pk or form.has_changed()]

    def rows(self):
        """The rows as they are to be; for the services."""
        return [form.instance for form in self.kept()]

    def problems(self, rows):
        return []


class ComponentFormSet(RowsFormSet):
    def problems(self, rows):
        return component_problems(rows, resolved(self.instance, Firm.current()))


class WeightFormSet(RowsFormSet):
    def problems(self, rows):
        return weight_problems(rows)


class RestrictionFormSet(RowsFormSet):
    def problems(self, rows):
        return restriction_problems(rows)


class RowForm(forms.ModelForm):
    """A row that is checked together with the others, by its formset, and there in words.

    `together` are fields that the database's own constraints need: left out here, so that these are not tried row by
    row against rows that are about to be replaced.
    """

    together: set[str] = set()

    def _get_validation_exclusions(self):
        return super()._get_validation_exclusions() | self.together


class ComponentForm(RowForm):
    together = {"portfolio", "kind"}

    class Meta:
        model = Component
        fields = ["kind", "security", "model", "weight", "band_kind", *BAND_NAMES, "triggers"]


class WeightForm(RowForm):
    together = {"model"}

    class Meta:
        model = ModelWeight
        fields = ["security", "weight"]


class RestrictionForm(RowForm):
    together = {"account", "kind", "end"}

    class Meta:
        model = Restriction
        fields = ["security", "kind", "substitute", "start", "end"]


class CheckedForm(forms.ModelForm):
    """A form whose object is also checked by the rules, once its fields are right one by one."""

    def _post_clean(self):
        super()._post_clean()
        if not self.errors:
            show(self, name_problems(self.instance) + self.problems())

    def problems(self):
        return []


class PortfolioForm(CheckedForm):
    class Meta:
        model = Portfolio
        fields = ["name", *SETTINGS]
        help_texts = dict.fromkeys(SETTINGS, "Empty: the firm's.")

    def problems(self):
        return settings_problems(self.instance, resolved(self.instance, Firm.current()))


class FirmForm(CheckedForm):
    class Meta:
        model = Firm
        fields = [field.name for field in Firm._meta.fields if field.editable]

    def problems(self):
        return firm_problems(self.instance)


class SecurityForm(CheckedForm):
    class Meta:
        model = Security
        fields = ["symbol", "name", "kind", "asset_class", "quantity_step", "is_active"]

    def problems(self):
        return security_problems(self.instance)


class AccountForm(CheckedForm):
    class Meta:
        model = Account
        fields = [
            "number", "name", "custodian", "advisor", "household", "tax_status", "portfolio", "linked_portfolios",
            "rebalancing_on", "last_rebalanced", "set_aside_cash", "lot_method", "is_open",
        ]  # fmt: skip

    def problems(self):
        return account_problems(self.instance)


ROLES = forms.MultipleChoiceField(
    choices=Role.choices, required=False, widget=forms.CheckboxSelectMultiple,
    help_text="An Advisor sees their own accounts, Operations every account; an Administrator also gets in here.",
)  # fmt: skip


class PersonForm(CheckedForm, UserChangeForm):
    roles = ROLES

    class Meta(UserChangeForm.Meta):
        model = User
        fields = ["username", "password", "first_name", "last_name", "email", "is_active"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["roles"].initial = list(self.instance.groups.values_list("name", flat=True))

    def problems(self):
        return person_problems(self.instance, self.cleaned_data["roles"])


class NewPersonForm(UserCreationForm):
    roles = ROLES

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ["username", "first_name", "last_name", "email"]


class SignInForm(AuthenticationForm):
    """Django's, which tells only the browser how long a user name may be: a longer one is nobody's and not tried."""

    def clean(self):
        if len(self.cleaned_data.get("username", "")) > User._meta.get_field("username").max_length:
            raise self.get_invalid_login_error()
        return super().clean()
