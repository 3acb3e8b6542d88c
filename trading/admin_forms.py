"""Forms of Django admin: what the services would refuse shows beside its field."""

from accounts.forms import CheckedForm
from trading.models import MarketSettings, Route
from trading.services import settings as services


class MarketSettingsForm(CheckedForm):
    class Meta:
        model = MarketSettings
        fields = services.SET

    def problems(self):
        return services.market_problems(self.instance)


class RouteForm(CheckedForm):
    class Meta:
        model = Route
        fields = ["custodian", "broker", "file_format", "folder"]

    def problems(self):
        return services.route_problems(self.instance)
