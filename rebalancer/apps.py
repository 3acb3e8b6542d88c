from django.apps import AppConfig


class RebalancerConfig(AppConfig):
    name = "rebalancer"
    default_auto_field = "django.db.models.BigAutoField"
