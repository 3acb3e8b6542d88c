"""Files of custodians: a ticket's files to be downloaded, and files of fills that are sent back."""

from functools import wraps

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.listing import answers
from accounts.models import Custodian
from accounts.services import audit
from accounts.services.refusals import Refused
from accounts.tasks import enqueue
from trading import tasks
from trading.file_forms import FillsForm
from trading.models import OrderFile, Ticket
from trading.services import files as services

from .tabs import SECTION

FOR_OPERATIONS = "Files of orders and fills are handled by Operations."
NOT_HANDED_OVER = "This file could not be dropped yet. It is not taken by hand as well, or its orders would go twice."
LATEST = 30  # files of fills that the page lists
BAD_ROWS = 200  # that a page names


# --- a ticket's files -----------------------------------------------------------------------------------------------


def of_a_ticket(view):
    """A view of a ticket's files: 404 where the person does not see the ticket, 403 with an audit line where they see
    it and do not work with its orders.
    """

    @login_required
    @never_cache
    @require_safe
    @wraps(view)
    def inner(request, pk, **kwargs):
        ticket = get_object_or_404(Ticket.objects.visible_to(request.user), pk=pk)
        if not request.user.has_perm("trading.change_order"):
            return forbidden(request, "file.downloaded", ticket)
        return view(request, ticket, **kwargs)

    return inner


@of_a_ticket
def ticket_file(request, ticket, file_pk):
    """One file as it was written."""
    kinds = [OrderFile.Kind.ORDERS, OrderFile.Kind.ALLOCATIONS]
    file = get_object_or_404(OrderFile, pk=file_pk, ticket=ticket, kind__in=kinds)
    if file.dropped_at is None:
        return answers.refused(request, NOT_HANDED_OVER, reverse("trading:orders"), status=409)
    return download(file.name, file.text)


@of_a_ticket
def ticket_files_of(request, ticket, custodian_pk, kind):
    """All files of a kind for a custodian as one, once it is complete."""
    held = OrderFile.objects.filter(ticket=ticket, custodian=custodian_pk, kind=kind)
    if kind == OrderFile.Kind.FILLS or not held.exists():
        raise Http404
    custodian = Custodian.objects.get(pk=custodian_pk)
    try:
        text = services.whole_file(ticket, custodian, kind)
    except Refused as refused:
        return answers.refused(request, refused, reverse("trading:orders"), status=409)
    return download(f"ticket-{ticket.pk}-{slugify(custodian.name) or custodian_pk}-{kind}.csv", text)


def download(name, text):
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text.encode(), content_type="text/csv; charset=utf-8", headers=headers)


def forbidden(request, verb, obj=None):
    audit.record(request.user, "refused", obj, command=verb, why=FOR_OPERATIONS)
    return answers.refused(request, f"{FOR_OPERATIONS} Nothing was done.", reverse("trading:orders"), status=403)


# --- fills ----------------------------------------------------------------------------------------------------------


def for_the_desk(view):
    """For those who see every account: a custodian's file names orders of everybody. There is none for others."""

    @never_cache
    @wraps(view)
    def inner(request, *args, **kwargs):
        if not request.user.is_authenticated and request.method == "POST":
            return answers.sign_in_again(request)
        if request.user.is_authenticated and not request.user.sees_every_account:
            raise Http404
        return login_required(view)(request, *args, **kwargs)

    return inner


@for_the_desk
@require_http_methods(["GET", "HEAD", "POST"])
def fills(request):
    """The form for a file of fills, and what was sent before."""
    if request.method != "POST":
        return fills_page(request, FillsForm())
    if not request.user.has_perm("trading.change_order"):
        return forbidden(request, "fills.received")
    form = FillsForm(request.POST, request.FILES)
    if not form.is_valid():
        return fills_page(request, form, 400)
    return take(request, form)


def take(request, form):
    """Have it read, and lead on to what became of it."""
    sent, custodian = form.cleaned_data["file"], form.cleaned_data["custodian"]
    try:
        received = services.receive_fills(sent.read(), sent.name, custodian=custodian, by=request.user)
    except PermissionDenied as refusal:
        return answers.refused(request, refusal, reverse("trading:fills"), status=403)
    enqueue(tasks.watch)
    address = reverse("trading:fills_file", args=[received.file.pk])
    return HttpResponseRedirect(f"{address}?again=1" if received.again else address)


def fills_page(request, form, status=200):
    context = {
        "section": SECTION,
        "tab": "fills",
        "form": form if request.user.has_perm("trading.change_order") else None,
        "anybody": services.custodians_by_file().exists(),
        "received": services.fill_files_received()[:LATEST],
    }
    return render(request, "trading/fills.html", context, status=status)


@for_the_desk
@require_safe
def fills_file(request, pk):
    """What a file of fills has brought, or every bad row of it."""
    file = get_object_or_404(OrderFile.objects.select_related("custodian", "made_by"), pk=pk, kind=OrderFile.Kind.FILLS)
    context = {
        "section": SECTION,
        "tab": "fills",
        "file": file,
        "again": request.GET.get("again") == "1" and not file.problems,
        "bad": file.problems[:BAD_ROWS],
        "more": max(len(file.problems) - BAD_ROWS, 0),
        "outcome": services.outcome(file),
    }
    return render(request, "trading/fills_file.html", context)
