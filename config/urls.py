"""Addresses: admin here, everything else in the apps."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path

APPS_WITH_PAGES = [app for app in ("rebalancer", "trading", "tax", "accounts") if find_spec(f"{app}.urls")]

urlpatterns = [path("admin/", admin.site.urls), *(path("", include(f"{app}.urls")) for app in APPS_WITH_PAGES)]
