"""The three roles as groups with model permissions; here, because this app's permissions are among them."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWED = ["account", "position", "restriction", "lot", "batch", "entry", "check", "order", "ticket", "security"]
CONFIGURED = [
    "account", "component", "custodian", "firm", "household", "model", "modelweight", "portfolio", "price",
    "restriction", "security", "user",
]
READ_BY_ADMINS = [
    "auditline", "firmversion", "modelversion", "portfolioversion", "delivery", "deliveryfile", "runrecord", "position",
    "transaction", "lot", "batch", "entry", "check", "order", "ticket", "sleeve",
]
ADVISOR = ["change_batch", "add_batch", "switch_rebalancing"] + [f"view_{name}" for name in VIEWED]
OPERATIONS = ADVISOR + ["run_imports", "liquidate", "change_order", "change_restriction", "add_restriction"]
ADMINISTRATOR = (
    [f"{action}_{name}" for name in CONFIGURED for action in ("view", "add", "change", "delete")]
    + [f"view_{name}" for name in READ_BY_ADMINS]
    + ["view_group"]
)
ROLES = {"Advisor": ADVISOR, "Operations": OPERATIONS, "Administrator": ADMINISTRATOR}


def create_roles(apps, schema_editor):
    for label in ("auth", "accounts", "tax", "trading", "rebalancer"):
        config = apps.get_app_config(label)
        config.models_module = True
        create_permissions(config, apps=apps, verbosity=0)
    permissions = apps.get_model("auth", "Permission").objects
    for name, codenames in ROLES.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        group.permissions.set(permissions.filter(codename__in=codenames))


class Migration(migrations.Migration):
    dependencies = [
        ("rebalancer", "0001_initial"),
        ("trading", "0001_initial"),
        ("tax", "0001_initial"),
        ("accounts", "0002_firm_sleeves_and_records"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(create_roles, migrations.RunPython.noop)]
