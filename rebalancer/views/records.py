"""The record of a run or of a delivery: what was taken, what was refused, and what is wrong with it, row by row."""

from functools import wraps

from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import get_object_or_404, render

from accounts.models import RunRecord
from rebalancer import records


def for_the_desk(view):
    """A view for Operations and Administrators: bad rows name accounts of everybody."""

    @login_required
    @wraps(view)
    def inner(request, *args, **kwargs):
        if not request.user.sees_every_account:
            raise Http404
        return view(request, *args, **kwargs)

    return inner


@for_the_desk
def run(request, pk):
    found = get_object_or_404(records.runs(), pk=pk)
    delivery = records.delivery_of(found)
    files = records.files(delivery) if delivery else []
    failed = found.state == RunRecord.State.FAILED
    context = {
        "title": f"{found.get_kind_display()} of {found.business_day.isoformat()}",
        "run": found,
        "counts": [] if files else [(name.replace("_", " ").capitalize(), n) for name, n in found.counts.items()],
        "errors": found.errors if failed or not files else [],
        "failed": failed,
    }
    return _page(request, delivery, files, context)


@for_the_desk
def delivery(request, pk):
    found = get_object_or_404(records.deliveries(), pk=pk)
    return _page(request, found, records.files(found), {"title": f"Delivery of {found.session.isoformat()}"})


def _page(request, delivery, files, context):
    context |= {
        "section": "home",
        "delivery": delivery,
        "files": files,
        "taken": sum(file.taken for file in files),
        "refused": [file for file in files if not file.taken],
    }
    return render(request, "rebalancer/record.html", context)
