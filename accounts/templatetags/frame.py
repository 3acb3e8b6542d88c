"""The page frame: links of the navigation that appear only where their page exists and may be seen."""

from django import template
from django.urls import NoReverseMatch, reverse

from accounts.listing import memory

register = template.Library()


@register.inclusion_tag("_navlink.html", takes_context=True)
def navlink(context, label, name, section, area="", close=""):
    """One entry of the top bar: `name` is an address's name; no such address, no entry.

    `section` is compared with the page's `section` (context) to mark where one is. With `area` and `close` (the name
    of an address that takes a POST) an × stands beside it while the area keeps filters or layouts, or is shown.
    """
    request = context.get("request")
    here = context.get("section") == section
    session = getattr(request, "session", None)
    shown = area and (here or (session is not None and memory.is_open(session, area)))
    return {
        "label": label,
        "href": address(name),
        "here": here,
        "close": address(close) if shown and close else "",
        "area": area,
        "csrf_token": context.get("csrf_token"),
    }


@register.filter
def active_roles(user):
    """A person's roles in words: "Advisor", "Operations, Administrator"."""
    return ", ".join(str(role.label) for role in sorted(getattr(user, "roles", ()))) or "No role"


@register.filter
def at(mapping, key):
    """What the mapping holds under the key, or nothing."""
    return mapping.get(key, "")


@register.simple_tag
def address(name, *args):
    """The address of that name, or "" where the product has no such page."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""
