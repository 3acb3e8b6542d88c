"""Editing a portfolio or model: what was typed is checked, its consequence is shown, and just that is then saved."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache

from accounts.listing import answers
from accounts.models import Portfolio
from accounts.services import audit
from rebalancer import tasks
from rebalancer.services import retargeting
from rebalancer.target_forms import LABELS, BegunForm, EditModel, EditPortfolio, ToldForm, offered

from .portfolios import MAY_NOT_EDIT, about

NOT_WHOLE = "What you sent did not arrive whole, so nothing was saved. Check it and try again."
NOT_TYPED = ("csrfmiddlewaretoken", "do", "told")


@login_required
@never_cache
def edit(request, pk, subject):
    """The form; sent, it is checked, and what it would do is shown to be confirmed. Nothing is saved here."""
    target = get_object_or_404(subject.model, pk=pk)
    if not request.user.has_perm(subject.permission):
        return refused(request, subject, target)
    if request.method != "POST":
        begun = target.versions.values_list("number", flat=True).first()
        return ask(request, subject, target, form_of(target), begun)
    begun = BegunForm(request.POST)
    form = form_of(target, request.POST)
    if not begun.is_valid():
        return ask(request, subject, target, form, newest(target), told=NOT_WHOLE)
    version = begun.cleaned_data["version"]
    if request.POST.get("do") == "back" or not form.valid:
        return ask(request, subject, target, form, version)
    return attempt(request, subject, target, form, version, lambda: foreseen(request, subject, target, form, version))


@answers.posted
def save(request, pk, subject):
    """Save what was confirmed, if it still does what the person was told."""
    target = get_object_or_404(subject.model, pk=pk)
    if not request.user.has_perm(subject.permission):
        return refused(request, subject, target)
    sent = ToldForm(request.POST)
    form = form_of(target, request.POST)
    if not sent.is_valid():
        return ask(request, subject, target, form, newest(target), told=NOT_WHOLE)
    version = sent.cleaned_data["version"]
    if not form.valid:
        return ask(request, subject, target, form, version)
    return attempt(request, subject, target, form, version, lambda: saved(request, subject, form, **sent.cleaned_data))


def foreseen(request, subject, target, form, version):
    """The confirmation, with what the change would do."""
    found = retargeting.foresee(form.target, form.rows.instances(), by=request.user, version=version)
    return confirm(request, subject, target, found)


def saved(request, subject, form, version, told):
    done = retargeting.change(form.target, form.rows.instances(), by=request.user, version=version, told=told)
    tasks.enqueue(tasks.recheck)
    messages.success(request, retargeting.done_words(form.target, done))
    return HttpResponseRedirect(subject.address(form.target))


def attempt(request, subject, target, form, version, act):
    """Answer what `act` answers, or say why it was not done beside what was typed."""
    try:
        return act()
    except ValidationError as error:
        return ask(request, subject, target, form, version, more=by_label(error))
    except retargeting.OtherAccounts as changed:
        return confirm(request, subject, target, changed.foreseen, changed=changed)
    except retargeting.ChangedMeanwhile as changed:
        return ask(request, subject, target, form, changed.version.number, changed=changed, began=version)
    except retargeting.NothingChanged as nothing:
        return ask(request, subject, target, form, version, told=nothing)


def form_of(target, data=None):
    return EditPortfolio(target, data) if isinstance(target, Portfolio) else EditModel(target, data)


def newest(target):
    return target.versions.values_list("number", flat=True).first()


def by_label(error):
    """(row, field's label, words) of what only the service found."""
    if not hasattr(error, "error_dict"):
        return [("", "", words) for words in error.messages]
    return [("", LABELS.get(name, ""), words) for name, lines in error.message_dict.items() for words in lines]


def ask(request, subject, target, form, version, more=(), **said):
    """The form as it was typed. `said`: `told`, words on top; `changed`, the refusal because somebody saved a version
    since `began`. What cannot be answers 400, what came too late or changes nothing 409."""
    problems = [*(form.problems_in_words() if form.bound else []), *more]
    context = {
        "form": form,
        "begun": version,
        "offered": offered(target),
        "problems": problems,
        "save_page": subject.address(target, "save"),
        "saved_name": subject.model.objects.values_list("name", flat=True).get(pk=target.pk),
    }
    status = 400 if problems or said.get("told") == NOT_WHOLE else 409 if said else 200
    return render(request, "rebalancer/target_edit.html", about(subject, target) | context | said, status=status)


def confirm(request, subject, target, found, changed=None):
    """What the change does, in numbers, and everything typed to be sent again."""
    typed = [(name, value) for name, values in request.POST.lists() if name not in NOT_TYPED for value in values]
    context = {
        "foreseen": found,
        "sent": found.sent,
        "changes": subject.changes(found.before, found.after),
        "typed": typed,
        "changed": changed,
        "edit_page": subject.address(target, "edit"),
        "save_page": subject.address(target, "save"),
    }
    status = 409 if changed else 200
    return render(request, "rebalancer/target_confirm.html", about(subject, target) | context, status=status)


def refused(request, subject, target):
    """They may see it but not change it: 403, on record."""
    audit.record(request.user, "refused", target, command=f"{subject.noun}.saved", why=MAY_NOT_EDIT)
    return answers.refused(request, PermissionDenied(MAY_NOT_EDIT), subject.address(target), status=403)
