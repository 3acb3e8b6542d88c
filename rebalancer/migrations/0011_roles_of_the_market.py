"""What the roles may do with the market's settings, with routes, and with fills and files."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWED = ["fill", "orderevent", "orderfile"]
SET = ["view_marketsettings", "change_marketsettings"]
ROUTED = [f"{action}_route" for action in ("view", "add", "change", "delete")]
ADDED = {
    "Advisor": ["view_fill", "view_orderevent"],
    "Operations": [f"view_{name}" for name in (*VIEWED, "route", "marketsettings")],
    "Administrator": [*(f"view_{name}" for name in VIEWED), *SET, *ROUTED],
}


def add(apps, schema_editor):
    config = apps.get_app_config("trading")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="trading")
    for name, codenames in ADDED.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*permissions.filter(codename__in=codenames))


class Migration(migrations.Migration):
    dependencies = [("rebalancer", "0010_settled"), ("trading", "0002_to_the_end")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
