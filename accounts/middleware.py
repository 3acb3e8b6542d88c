from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control

from accounts.models import Firm

KEPT = 30  # seconds until a change of the firm's zone is seen by every process


class FirmZone:
    """Shows times in the firm's zone."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        with timezone.override(ZoneInfo(cache.get_or_set("firm_zone", _zone, KEPT))):
            return self.get_response(request)


class Private:
    """What a page shows is for the one who asked: neither a proxy nor the browser keeps it, so that going back after
    signing out shows nothing."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        patch_cache_control(response, private=True, no_store=True)
        return response


class InWords:
    """The address of a command takes what a button sends; opened by hand, it says so on a page instead of nothing."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if response.status_code != 405 or response.content:
            return response
        page = render(request, "405.html", status=405)
        page["Allow"] = response["Allow"]
        return page


def _zone():
    return Firm.current().time_zone
