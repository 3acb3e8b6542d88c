"""What an Administrator sets of the market: where prices come from, how the paper market behaves, and routes."""

import os
from pathlib import Path

from accounts.listing.figures import plural
from accounts.models import Role
from accounts.rules import Problem, text_problem
from accounts.services import audit
from accounts.services.records import picture
from accounts.services.refusals import Refused, command, require_role
from accounts.services.validation import check_fields, refuse
from trading.brokers.file import NAME
from trading.models import Feed, MarketSettings, Order, Route
from trading.states import OrderState

SET = [field.name for field in MarketSettings._meta.concrete_fields if field.editable]


def save_market(settings: MarketSettings, by) -> bool:
    """Save the market settings; return whether anything changed. What a worker notes beside them stays as it is.

    Raises ValidationError (by field) and PermissionDenied.
    """
    with command(by, "marketsettings.saved", settings):
        require_role(by, Role.ADMINISTRATOR)
        check_fields(settings)
        refuse(market_problems(settings))
        found = MarketSettings.objects.select_for_update().get(pk=settings.pk)
        old, new = audit.differences(_settings(found), _settings(settings))
        if new:
            settings.save(update_fields=list(new))
            if {"feed", "feed_file"} & new.keys():
                _ask_at_once(settings)
            audit.record(by, "marketsettings.saved", settings, old, new)
        return bool(new)


def _ask_at_once(settings):
    """Another feed is not asked when the old one was due, and the old one's trouble is not its own."""
    MarketSettings.objects.filter(pk=settings.pk).update(quotes_asked_at=None, feed_trouble="")


def _settings(settings):
    """As audit lines compare them; percentages as they are written, whatever zeros they end in."""
    values = {name: getattr(settings, name) for name in SET}
    return {name: f"{value.normalize():f}" if hasattr(value, "normalize") else value for name, value in values.items()}


def market_problems(settings: MarketSettings) -> list[Problem]:
    """What is wrong with market settings whose fields are valid one by one."""
    path = settings.feed_file.strip()
    if why := text_problem(path):
        return [Problem(None, "feed_file", f"It {why}.")]
    if path and not os.path.isabs(path):
        return [Problem(None, "feed_file", "Write the whole path, from / on.")]
    if settings.feed == Feed.FILE and not path:
        return [Problem(None, "feed_file", "The feed File needs the path of a prices.csv on the server.")]
    return []


def save_route(route: Route, by) -> bool:
    """Save where a custodian's orders go; return whether anything changed. Staged orders keep the way they had.

    Raises ValidationError (by field) and PermissionDenied.
    """
    verb = "route.saved"
    with command(by, verb, route):
        require_role(by, Role.ADMINISTRATOR)
        route.folder = route.folder.strip()
        check_fields(route)
        refuse(route_problems(route))
        found = Route.objects.select_for_update().filter(pk=route.pk).first() if route.pk else None
        before = picture(found) if found else {}
        route.save()
        old, new = audit.differences(before, picture(route))
        if new:
            audit.record(by, verb, route, old, new)
        return bool(new)


def route_problems(route: Route) -> list[Problem]:
    """What is wrong with a route whose fields are valid one by one."""
    problems = [Problem(None, "folder", words) for words in (_folder_problem(route.folder.strip()),) if words]
    if route.pk and route.broker != NAME and (words := _still_needed(route)):
        problems.append(Problem(None, "broker", words))
    return problems


def _folder_problem(folder) -> str:
    """Why files can't be dropped in a folder, as far as can be seen from here; empty when they can, or need not."""
    if not folder:
        return ""
    if why := text_problem(folder):
        return f"It {why}."
    if not os.path.isabs(folder):
        return "Write the whole path, from / on."
    if not Path(folder).is_dir():
        return f"There is no folder {folder} on the server."
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"The server may not write to {folder}."


def _still_needed(route) -> str:
    """Orders that were confirmed for the route's files and have not gone yet, in words."""
    begun = Order.objects.filter(broker=NAME, custodian=route.custodian_id, quantity__gt=0, allocated_at=None)
    waiting = [OrderState.READY, OrderState.SENDING]
    count = begun.filter(state__in=waiting, ticket__confirmed_at__isnull=False).count()
    are = "is" if count == 1 else "are"
    return f"{plural(count, 'confirmed order')} {are} still to be written to its files." if count else ""


def delete_route(route: Route, by) -> None:
    """Send the orders of the custodian to the paper market again; Refused while confirmed orders are to be written."""
    with command(by, "route.deleted", route):
        require_role(by, Role.ADMINISTRATOR)
        if words := _still_needed(route):
            raise Refused(f"{route} can't be deleted: {words}")
        before, name, pk = picture(route), route, route.pk
        route.delete()
        route.pk = pk
        audit.record(by, "route.deleted", name, before)
        route.pk = None
