"""What a command on the rows of a list answers: done, refused, the list has changed, or sign in again."""

from functools import wraps
from urllib.parse import urlencode, urlsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.dispatch import Signal
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST

from .selection import FIELDS

not_understood = Signal()  # an address or a selection was refused: `request`, `why` in words; the audit trail listens


def done(request, address):
    """Lead on from a command that is done. Only this has the browser forget what was selected for it: the selection
    comes with the name that the browser keeps it under, and goes back in the address's fragment (app.js reads it)."""
    store = request.POST.get("store", "")
    if not store:
        return HttpResponseRedirect(address)
    return HttpResponseRedirect(f"{address}{'' if '#' in address else '#'}&{urlencode({'done': store})}")


def refused(request, words, back, status=400):
    """Say in words why nothing was done, with a way back to the list."""
    return render(request, "listing/refused.html", {"words": str(words), "back": back}, status=status)


def ask_again(request, selection, found, *, back, label):
    """Show both numbers and one button, `label`, that sends the same command again with the number of now.

    Everything else that was posted is sent along, so the trade logic chosen stays chosen.
    """
    others = [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if name not in FIELDS and name != "csrfmiddlewaretoken"
    ]
    fields = [*selection.grown(found).fields().items(), *others]
    context = {"shown": selection.expected, "found": found, "fields": fields, "back": back, "label": label}
    return render(request, "listing/changed.html", context | {"action": request.get_full_path()}, status=409)


def posted(view):
    """A view that only takes what somebody signed in has posted."""

    @require_POST
    @wraps(view)
    def inner(request, *args, **kwargs):
        return view(request, *args, **kwargs) if request.user.is_authenticated else sign_in_again(request)

    return inner


def sign_in_again(request):
    """Say that nothing was done, and lead back to the page where the button was; a command's own address is none."""
    came = urlsplit(request.headers.get("Referer", ""))
    here = came.netloc == request.get_host()
    messages.warning(request, "You were no longer signed in, so nothing was done. Sign in and do it again.")
    return redirect_to_login(came._replace(scheme="", netloc="", fragment="").geturl() if here else "/")
