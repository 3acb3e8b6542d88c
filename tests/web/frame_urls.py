"""Two pages that depend on no app's: for the tests of the browser's frame itself."""

from django.http import HttpResponse
from django.urls import path


def plain(request):
    return HttpResponse(f"<!doctype html><title>Plain</title><h1>{request.user or 'nobody'}</h1>")


urlpatterns = [path("", plain)]
