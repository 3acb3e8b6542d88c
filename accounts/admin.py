"""Django admin, for Administrators. What is saved and deleted here goes through the services, as everywhere else."""

import re

from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from accounts.forms import (
    AccountForm,
    CheckedForm,
    ComponentForm,
    ComponentFormSet,
    FirmForm,
    NewPersonForm,
    PersonForm,
    PortfolioForm,
    RestrictionForm,
    RestrictionFormSet,
    SecurityForm,
    WeightForm,
    WeightFormSet,
)
from accounts.models import (
    Account,
    AuditLine,
    Component,
    Custodian,
    Firm,
    FirmVersion,
    Household,
    Model,
    ModelVersion,
    ModelWeight,
    Portfolio,
    PortfolioVersion,
    Position,
    Price,
    Restriction,
    Security,
    User,
)
from accounts.services import audit, prices, records
from accounts.services.accounts import save_account
from accounts.services.firms import save_firm
from accounts.services.portfolios import save_model, save_portfolio
from accounts.services.refusals import Refused, command


class Chooser(AutocompleteSelect):
    """The search box for another record; an id that is none, in an address or a form, chooses nothing."""

    def optgroups(self, name, value, attr=None):
        ids = [one for one in value if re.fullmatch(r"\d{1,18}", str(one), re.ASCII)]
        return super().optgroups(name, ids, attr)


class Choosers:
    """Gives the search boxes of an admin, or of its rows, the one above; the form's own check names what is wrong."""

    def formfield_for_foreignkey(self, db_field, request, **options):
        if db_field.name in self.get_autocomplete_fields(request):
            options.setdefault("widget", Chooser(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **options)


class ThroughServices(Choosers):
    """Saves an object and its rows by a service; what only the service finds is told, and nothing is changed.

    Each admin names its service in `keep(obj, form, formsets, by)`, which saves what the form and its rows hold.
    """

    def save_model(self, request, obj, form, change):
        """Left to save_related, where the rows are at hand."""

    def save_related(self, request, form, formsets, change):
        for formset in formsets:
            formset.save(commit=False)  # only notes what changes, for Django's own history of the object
        self.keep(form.instance, form, formsets, request.user)

    def delete_model(self, request, obj):
        records.delete_record(obj, by=request.user)

    def delete_queryset(self, request, queryset):
        for obj in queryset:
            records.delete_record(obj, by=request.user)

    def changeform_view(self, request, *args, **kwargs):
        return self._told(super().changeform_view, request, *args, **kwargs)

    def delete_view(self, request, *args, **kwargs):
        return self._told(super().delete_view, request, *args, **kwargs)

    def changelist_view(self, request, *args, **kwargs):
        return self._told(super().changelist_view, request, *args, **kwargs)

    def _told(self, view, request, *args, **kwargs):
        """Run a view; what changed between the form's check and the service's, say, comes as a message."""
        try:
            with command(request.user, f"administration of {self.opts.verbose_name_plural}"):
                return view(request, *args, **kwargs)
        except ValidationError as error:
            told = error.messages
        except Refused as refused:
            told = [str(refused)]
        except IntegrityError:
            told = ["Somebody else has saved something of the same name at the same time."]
        for words in told:
            self.message_user(request, words, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())


class NeverDeleted:
    """Its versions and batches speak of it: it is kept for good."""

    def has_delete_permission(self, request, obj=None):
        return False


class ReadOnly(NeverDeleted):
    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False


class Rows(Choosers, admin.TabularInline):
    extra = 0

    class Media:
        css = {"all": ["css/administration.css"]}


# --- targets ------------------------------------------------------------------------------------------------------


class ComponentInline(Rows):
    model = Component
    form = ComponentForm
    formset = ComponentFormSet
    autocomplete_fields = ["security", "model"]
    ordering = ["kind", "-weight", "id"]


@admin.register(Portfolio)
class PortfolioAdmin(NeverDeleted, ThroughServices, admin.ModelAdmin):
    form = PortfolioForm
    inlines = [ComponentInline]
    search_fields = ["name"]
    list_display = ["name", "threshold_percent", "precision_percent"]

    def keep(self, obj, form, formsets, by):
        save_portfolio(obj, formsets[0].rows(), by=by)


class WeightInline(Rows):
    model = ModelWeight
    form = WeightForm
    formset = WeightFormSet
    autocomplete_fields = ["security"]


@admin.register(Model)
class ModelAdmin(NeverDeleted, ThroughServices, admin.ModelAdmin):
    form = CheckedForm
    inlines = [WeightInline]
    search_fields = ["name"]

    def get_readonly_fields(self, request, obj=None):
        """Sleeves and files know a model by its name."""
        return ["name"] if obj else []

    def keep(self, obj, form, formsets, by):
        save_model(obj, formsets[0].rows(), by=by)


@admin.register(Firm)
class FirmAdmin(NeverDeleted, ThroughServices, admin.ModelAdmin):
    form = FirmForm

    def has_add_permission(self, request):
        return False

    def changelist_view(self, request, extra_context=None):
        """There is one firm."""
        return HttpResponseRedirect(reverse("admin:accounts_firm_change", args=[1]))

    def keep(self, obj, form, formsets, by):
        save_firm(obj, by=by)


# --- securities and prices ----------------------------------------------------------------------------------------


@admin.register(Security)
class SecurityAdmin(ThroughServices, admin.ModelAdmin):
    form = SecurityForm
    search_fields = ["symbol", "name"]
    list_display = ["symbol", "name", "kind", "asset_class", "quantity_step", "is_active"]
    list_filter = ["kind", "is_active", "asset_class"]

    def get_readonly_fields(self, request, obj=None):
        """Versions and files know a security by its symbol."""
        return ["symbol"] if obj else []

    def keep(self, obj, form, formsets, by):
        records.save_security(obj, by=by)


@admin.register(Price)
class PriceAdmin(NeverDeleted, admin.ModelAdmin):
    search_fields = ["security__symbol"]
    list_display = ["security", "price", "as_of", "source", "state", "received_at"]
    list_filter = ["state", "source"]
    list_select_related = ["security"]
    ordering = ["-as_of", "security__symbol"]
    actions = ["confirm", "reject"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        """For the two actions; the figures of a price are never edited."""
        return obj is None and super().has_change_permission(request)

    @admin.action(description="Confirm: the price is right", permissions=["change"])
    def confirm(self, request, chosen):
        self._decide(request, chosen, prices.confirm_price, "confirmed")

    @admin.action(description="Reject: the price before it counts again", permissions=["change"])
    def reject(self, request, chosen):
        self._decide(request, chosen, prices.reject_price, "rejected")

    def _decide(self, request, chosen, decide, word):
        done = 0
        for price in chosen.select_related("security"):
            try:
                decide(price, by=request.user)
                done += 1
            except Refused as refused:
                self.message_user(request, str(refused), messages.ERROR)
        if done:
            self.message_user(request, f"{done} {word}.", messages.SUCCESS)


# --- accounts -----------------------------------------------------------------------------------------------------


class RestrictionInline(Rows):
    model = Restriction
    form = RestrictionForm
    formset = RestrictionFormSet
    autocomplete_fields = ["security", "substitute"]


@admin.register(Account)
class AccountAdmin(NeverDeleted, ThroughServices, admin.ModelAdmin):
    form = AccountForm
    inlines = [RestrictionInline]
    search_fields = ["number", "name"]
    list_display = ["number", "name", "custodian", "advisor", "household", "portfolio", "rebalancing_on", "is_open"]
    list_filter = ["is_open", "rebalancing_on", "tax_status", "custodian", "portfolio"]
    list_select_related = ["custodian", "advisor", "household", "portfolio"]
    autocomplete_fields = ["custodian", "advisor", "household", "portfolio"]
    filter_horizontal = ["linked_portfolios"]
    readonly_fields = [
        "cash", "rebalancing_since", "portfolio_since", "last_rebalanced_at", "delivered_for", "delivery_problem",
        "positions_held",
    ]  # fmt: skip

    @admin.display(description="positions")
    def positions_held(self, account):
        if not account.pk:
            return "none yet"
        address = reverse("admin:accounts_position_changelist")
        return format_html('<a href="{}?account__id__exact={}">{}</a>', address, account.pk, account.positions.count())

    def keep(self, obj, form, formsets, by):
        save_account(obj, by, linked=form.cleaned_data["linked_portfolios"], restrictions=formsets[0].rows())


@admin.register(Position)
class PositionAdmin(ReadOnly, admin.ModelAdmin):
    search_fields = ["account__number", "security__symbol"]
    list_display = ["account", "sleeve", "security", "quantity"]
    list_select_related = ["account", "sleeve__model", "security"]
    ordering = ["account__number", "sleeve", "security__symbol"]


@admin.register(Custodian, Household)
class NamedAdmin(ThroughServices, admin.ModelAdmin):
    form = CheckedForm
    search_fields = ["name"]

    def keep(self, obj, form, formsets, by):
        records.save_record(obj, by=by)


# --- people -------------------------------------------------------------------------------------------------------

admin.site.unregister(Group)  # the roles are given; who holds them is a person's matter


@admin.register(User)
class PersonAdmin(ThroughServices, UserAdmin):
    form = PersonForm
    add_form = NewPersonForm
    list_display = ["username", "first_name", "last_name", "email", "roles_held", "is_active"]
    list_filter = ["groups", "is_active"]
    filter_horizontal = []
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("What they may do", {"fields": ["roles", "is_active"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    add_fieldsets = [
        (None, {"fields": ["username", "first_name", "last_name", "email", "password1", "password2", "roles"]})
    ]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles_held(self, person):
        return ", ".join(group.name for group in person.groups.all())

    def keep(self, obj, form, formsets, by):
        records.save_person(obj, form.cleaned_data["roles"], by=by)

    def user_change_password(self, request, id, form_url=""):
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and isinstance(response, HttpResponseRedirect):
            audit.record(request.user, "password.changed", self.get_object(request, id))
        return response


# --- records ------------------------------------------------------------------------------------------------------


@admin.register(AuditLine)
class AuditLineAdmin(ReadOnly, admin.ModelAdmin):
    search_fields = ["verb", "object_name", "by__username"]
    list_display = ["at", "by", "verb", "object_kind", "object_name"]
    list_filter = ["at", "object_kind"]
    list_select_related = ["by"]


@admin.register(PortfolioVersion)
class PortfolioVersionAdmin(ReadOnly, admin.ModelAdmin):
    search_fields = ["portfolio__name"]
    list_display = ["portfolio", "number", "saved_at", "saved_by"]
    list_select_related = ["portfolio", "saved_by"]
    ordering = ["portfolio__name", "-number"]


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnly, admin.ModelAdmin):
    search_fields = ["model__name"]
    list_display = ["model", "number", "saved_at", "saved_by"]
    list_select_related = ["model", "saved_by"]
    ordering = ["model__name", "-number"]


@admin.register(FirmVersion)
class FirmVersionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["number", "saved_at", "saved_by"]
    list_select_related = ["saved_by"]
    ordering = ["-number"]
