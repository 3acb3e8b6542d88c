from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rebalancer", "0008_cash_off_target"),
    ]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="although_off",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Whoever opened it confirmed that rebalancing is off."
            ),
        ),
    ]
