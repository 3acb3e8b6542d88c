"""The admin site: for Administrators, whatever else a person is; a stranger finds nothing there."""

from functools import wraps

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import SuspiciousOperation
from django.http import Http404

from accounts.models import Role


class Administration(admin.AdminSite):
    site_title = "Rebalancer administration"
    site_header = "Rebalancer administration"
    index_title = "Configuration"
    site_url = "/"

    def has_permission(self, request):
        return request.user.is_active and request.user.is_authenticated and Role.ADMINISTRATOR in request.user.roles

    def admin_view(self, view, cacheable=False):
        """Somebody who is signed in but no Administrator gets 404: the page is not there for them."""
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def seen(request, *args, **kwargs):
            if request.user.is_authenticated and not self.has_permission(request):
                raise Http404
            return inner(request, *args, **kwargs)

        return seen

    def autocomplete_view(self, request):
        """A search with a character that no text has is refused here: the database cannot even be asked."""
        if "\0" in request.GET.get("term", ""):
            raise SuspiciousOperation("a NUL in a search")
        return super().autocomplete_view(request)

    def login(self, request, extra_context=None):
        """There is one door to the product: the sign-in page."""
        return redirect_to_login(request.GET.get("next") or "/admin/")
