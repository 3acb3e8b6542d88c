"""The firm's row, the two sleeves every firm has, and the triggers that keep records as they were written."""

from django.db import migrations

RECORDS = ["accounts_auditline", "accounts_firmversion", "accounts_modelversion", "accounts_portfolioversion"]

FORBID = """
CREATE FUNCTION forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are records: they are not changed or deleted', TG_TABLE_NAME;
END $$;
""" + "".join(
    f"CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION forbid_change();"
    for table in RECORDS
)
ALLOW = "".join(f"DROP TRIGGER kept ON {table};" for table in RECORDS) + "DROP FUNCTION forbid_change();"


def create_firm(apps, schema_editor):
    apps.get_model("accounts", "Firm").objects.get_or_create(pk=1)
    for kind in ("managed", "protected"):
        apps.get_model("accounts", "Sleeve").objects.get_or_create(kind=kind, model=None)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(create_firm, migrations.RunPython.noop), migrations.RunSQL(FORBID, ALLOW)]
