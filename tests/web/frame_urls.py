"""Pages that depend on no app's: for the tests of the browser's frame itself."""

from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import path


def plain(request):
    return HttpResponse(f"<!doctype html><title>Plain</title><h1>{request.user or 'nobody'}</h1>")


def asking(request):
    """A link that htmx follows, to nowhere; a newer click takes the older's place."""
    return HttpResponse(
        f'<!doctype html><title>Asking</title><script src="{static("vendor/htmx-2.0.10/htmx.min.js")}"></script>'
        '<meta name="htmx-config" content=\'{"includeIndicatorStyles":false}\'>'
        '<a href="/asked/" hx-get="/asked/" hx-sync="this:replace">Ask</a>'
    )


urlpatterns = [path("", plain), path("asking/", asking)]
