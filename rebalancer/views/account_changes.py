"""What people change on an account: each change is a page with a form, and its errors stand at their fields."""

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views import View
from django.views.decorators.cache import never_cache

from accounts.listing import answers
from accounts.listing.figures import dollars_text
from accounts.models import Account, Security
from accounts.selectors import restrictions
from accounts.services import accounts as services
from accounts.services import audit
from rebalancer import selectors, tasks
from rebalancer.account_forms import (
    ConfirmForm,
    PortfolioForm,
    RebalanceForm,
    RestrictionForm,
    SetAsideForm,
    SwitchForm,
)
from rebalancer.positions import securities_of
from rebalancer.services.accounts import Wishes, grant, rebalance
from rebalancer.services.refusals import Refused
from trading import sessions

from .account import (
    FORBIDDEN,
    accounts_seen,
    frame,
    why_not_another,
    why_not_edit,
    why_not_rebalance,
    why_not_switch,
)

GONE = "This restriction is not there any more."


@method_decorator(never_cache, name="dispatch")
class Change(LoginRequiredMixin, View):
    """A page with the form of one change. GET shows it; POST does it and leads back to the account.

    What the person may not do answers 403 (a try leaves an audit line), what does not go at the moment 409, and what
    was typed wrong 400, with the form as it was filled in.
    """

    verb = ""
    title = ""
    button = ""
    form_class = ConfirmForm
    template_name = "rebalancer/account_change.html"
    danger = False

    @cached_property
    def account(self):
        return get_object_or_404(accounts_seen(self.request.user), pk=self.kwargs["pk"])

    @property
    def back(self):
        return reverse("rebalancer:account", args=[self.account.pk])

    def why_not(self):
        """Why this cannot be done now, in words; empty when it can."""
        return why_not_edit(self.account, self.request.user)

    def form(self, data=None):
        return self.form_class(data, account=self.account, initial=self.initial())

    def initial(self):
        return {}

    def change(self, data):
        """Do it with the form's values; return what was done, in words. Raises Refused, ValidationError by field."""
        raise AssertionError(f"{type(self).__name__} says what it changes")

    def context(self):
        return {}

    def done(self, words):
        messages.success(self.request, words)
        return HttpResponseRedirect(self.back)

    # --- answers --------------------------------------------------------------------------------------------

    def handle_no_permission(self):
        if self.request.method == "POST":
            return answers.sign_in_again(self.request)
        return super().handle_no_permission()

    def get(self, request, **kwargs):
        if why := self.why_not():
            return answers.refused(request, f"{why} Nothing was done.", self.back, self.refusal(why))
        return self.page(self.form())

    def post(self, request, **kwargs):
        if why := self.why_not():
            audit.record(request.user, "refused", self.account, command=self.verb, why=why)
            return answers.refused(request, f"{why} Nothing was done.", self.back, self.refusal(why))
        form = self.form(request.POST)
        if not form.is_valid():
            return self.page(form, 400)
        try:
            words = self.change(form.cleaned_data)
        except ValidationError as wrong:
            self.blame(form, wrong)
            return self.page(form, 400)
        except PermissionDenied as denied:
            return answers.refused(request, denied, self.back, 403)
        except Refused as refusal:
            return self.overtaken(refusal)
        tasks.enqueue(tasks.recheck)
        return self.done(words)

    def overtaken(self, refusal):
        """The form as it was filled in, on the account as it is now, so that it can be sent again from there."""
        now = type(self)()
        now.setup(self.request, **self.kwargs)
        if now.why_not():
            return answers.refused(self.request, refusal, self.back, 409)
        typed = self.request.POST.copy()
        typed.update({field.html_name: field.value() for field in now.form().hidden_fields()})
        form = now.form(typed)
        form.add_error(None, str(refusal))
        return now.page(form, 409)

    def refusal(self, why):
        """The status of a refusal: 403 where the person may not, 409 where it does not go now."""
        return 403 if why in FORBIDDEN else 409

    def blame(self, form, wrong):
        """Put what a service complained about at its fields."""
        for name, lines in wrong.message_dict.items():
            for words in lines:
                form.add_error(name if name in form.fields else None, words)

    def page(self, form, status=200):
        context = frame(self.account, "change") | {
            "form": form, "title": self.title, "button": self.button, "danger": self.danger, "back": self.back,
        }  # fmt: skip
        return render(self.request, self.template_name, context | self.context(), status=status)


class Switch(Change):
    """Rebalancing on or off."""

    verb = "rebalancing.switched"
    form_class = SwitchForm
    template_name = "rebalancer/account_switch.html"

    def why_not(self):
        return why_not_switch(self.account, self.request.user)

    def initial(self):
        return {"on": "no" if self.account.rebalancing_on else "yes"}

    def change(self, data):
        on = data["on"]
        chosen = Account.objects.filter(pk=self.account.pk)
        changed = services.switch_rebalancing(chosen, on=on, by=self.request.user)
        state = "on" if on else "off"
        return f"Rebalancing is switched {state}." if changed else f"Rebalancing was {state} already."

    def context(self):
        on = self.account.rebalancing_on
        return {
            "title": f"Switch rebalancing {'off' if on else 'on'}?",
            "button": f"Switch rebalancing {'off' if on else 'on'}",
            "danger": on,
            "entry": selectors.open_entry(self.account),
        }


class SetAside(Change):
    """The cash that is not to be invested."""

    verb = "cash.set_aside"
    title = "Set-aside cash"
    button = "Save"
    form_class = SetAsideForm
    template_name = "rebalancer/account_set_aside.html"

    def initial(self):
        return {"amount": self.account.set_aside_cash, "seen": self.account.set_aside_cash}

    def change(self, data):
        changed = services.set_aside(self.account, data["amount"], self.request.user, seen=data["seen"])
        words = dollars_text(data["amount"])
        return f"{words} is set aside." if changed else f"{words} was set aside already."

    def blame(self, form, wrong):
        for words in wrong.message_dict.get("set_aside_cash", wrong.messages):
            form.add_error("amount", words)


class OfRestriction(Change):
    """A change of the restriction that the address names, if it names one."""

    @cached_property
    def restriction(self):
        pk = self.kwargs.get("restriction_pk")
        return restrictions(self.request.user, self.account).filter(pk=pk).first() if pk else None

    @property
    def is_gone(self):
        return "restriction_pk" in self.kwargs and self.restriction is None

    def why_not(self):
        return super().why_not() or (GONE if self.is_gone else "")

    def get(self, request, **kwargs):
        if self.is_gone:
            raise Http404
        return super().get(request, **kwargs)


class Restrict(OfRestriction):
    """A restriction, new or changed."""

    verb = "restriction.set"
    button = "Save restriction"
    form_class = RestrictionForm
    template_name = "rebalancer/account_restriction.html"

    @property
    def title(self):
        return f"Restriction on {self.restriction.security}" if self.restriction else "Add a restriction"

    def form(self, data=None):
        initial = {"start": sessions.today()}
        return self.form_class(data, account=self.account, restriction=self.restriction, initial=initial)

    def change(self, data):
        made = services.set_restriction(
            self.account, data["security"], data["kind"], self.request.user,
            substitute=data["substitute"], start=data["start"], end=data["end"], seen=data["seen"],
        )  # fmt: skip
        return f"{services.restriction_words(made)}: saved."

    def blame(self, form, wrong):
        """A problem begins with the security of its restriction; one of another restriction concerns this security."""
        own = f"{form.cleaned_data['security']}: "
        for name, lines in wrong.message_dict.items():
            for words in lines:
                known = name if name in form.fields else None
                field = known if words.startswith(own) or name == NON_FIELD_ERRORS else "security"
                form.add_error(field, words.removeprefix(own))

    def context(self):
        held = Security.objects.filter(pk__in=securities_of(self.account)).order_by("symbol")
        return {"symbols": list(held.values_list("symbol", "name"))}


class Lift(OfRestriction):
    """A restriction that ends now."""

    verb = "restriction.dropped"
    button = "Lift restriction"
    template_name = "rebalancer/account_lift.html"
    danger = True

    @property
    def title(self):
        return f"Lift the restriction on {self.restriction.security}?"

    def initial(self):
        return {"seen": services.restriction_words(self.restriction)}

    def change(self, data):
        services.drop_restriction(self.restriction, self.request.user, seen=data["seen"])
        return f"The restriction on {self.restriction.security} is lifted."

    def context(self):
        return {"words": services.restriction_words(self.restriction)}


class Rebalance(Change):
    """A request of this one account."""

    verb = "batch.opened"
    title = "Rebalance this account"
    button = "Open a request of 1 account"
    form_class = RebalanceForm
    template_name = "rebalancer/account_rebalance.html"
    opened = None

    @cached_property
    def portfolios(self):
        """Those it may be held to: its own first, then the linked ones."""
        own = self.account.portfolio
        linked = [one for one in self.account.linked_portfolios.order_by("name") if one != own]
        return ([own] if own else []) + linked

    def why_not(self):
        return why_not_rebalance(self.account, self.request.user, self.portfolios)

    def form(self, data=None):
        return self.form_class(data, account=self.account, portfolios=self.portfolios, initial=self.initial())

    def change(self, data):
        self.opened = rebalance(
            self.account, by=self.request.user, portfolio=data["portfolio"], logic=data["logic"],
            seen=data["was"], although_off=bool(data.get("although_off")),
        )  # fmt: skip
        what = f"{self.opened.batch} was opened for {self.account.number}; its trades are being proposed."
        return f"{what} No order is placed."

    def done(self, words):
        """On to the request, where there is one."""
        if self.opened is None:
            return super().done(words)
        tasks.enqueue(tasks.propose_batch, self.opened.batch.pk)
        messages.success(self.request, words)
        return HttpResponseRedirect(reverse("rebalancer:request", args=[self.opened.batch.pk]))


class AnotherPortfolio(Rebalance):
    """Another of the linked portfolios: assign it, switch rebalancing on, rebalance now."""

    verb = "portfolio.changed"
    title = "Change the portfolio"
    button = "Change the portfolio"
    form_class = PortfolioForm
    template_name = "rebalancer/account_portfolio.html"

    @cached_property
    def portfolios(self):
        linked = self.account.linked_portfolios.order_by("name")
        return [one for one in linked if one != self.account.portfolio]

    def why_not(self):
        return why_not_another(self.account, self.request.user, self.portfolios)

    @cached_property
    def why_not_now(self):
        """Why no request can be opened along with it."""
        return why_not_rebalance(self.account, self.request.user, self.portfolios)

    def form(self, data=None):
        initial = {"portfolio": str(self.portfolios[0].pk)} if len(self.portfolios) == 1 else {"portfolio": ""}
        return self.form_class(
            data, account=self.account, portfolios=self.portfolios, may_rebalance=not self.why_not_now, initial=initial
        )

    def change(self, data):
        wishes = Wishes(
            data["portfolio"], data["was"], assign=data["assign"], switch_on=bool(data.get("switch_on")),
            logic=data["logic"] if data.get("rebalance") else "", although_off=bool(data.get("although_off")),
        )  # fmt: skip
        granted = grant(self.account, wishes, by=self.request.user)
        self.opened = granted.opened
        return self.words(data["portfolio"], granted)

    @staticmethod
    def words(portfolio, granted):
        parts = [f"{portfolio} is assigned."] if granted.assigned else []
        parts += ["Rebalancing is switched on."] if granted.switched else []
        if granted.opened:
            then = "" if granted.assigned else f" {portfolio} is assigned when it is approved."
            parts.append(f"{granted.opened.batch} was opened; its trades are being proposed.{then}")
        return " ".join(parts) or "It was so already; nothing was changed."

    def context(self):
        return {"why_not_now": self.why_not_now}

