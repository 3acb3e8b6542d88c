from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rebalancer", "0006_what_changed"),
    ]

    operations = [
        migrations.AddField(
            model_name="batchprice",
            name="name",
            field=models.CharField(
                blank=True, db_default="", help_text="Of the security, as it was then.", max_length=200
            ),
        ),
    ]
