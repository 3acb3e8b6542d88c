from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rebalancer", "0005_pages_and_opening"),
    ]

    operations = [
        migrations.AddField(
            model_name="entry",
            name="basis",
            field=models.JSONField(null=True, help_text="What of it the lines do not tell; see loading.Loaded.bases."),
        ),
        migrations.AddField(
            model_name="entry",
            name="changed",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text="What had changed when it was last to be approved.",
                max_length=400,
            ),
        ),
    ]
