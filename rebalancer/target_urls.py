"""Addresses of portfolios and models: the same pages for both."""

from django.urls import path

from rebalancer.views import portfolios, retargeting

PORTFOLIO, MODEL = {"subject": portfolios.PORTFOLIO}, {"subject": portfolios.MODEL}

urlpatterns = [
    path("portfolios/", portfolios.PortfoliosPage.as_view(), name="portfolios"),
    path("portfolios/<int:pk>/", portfolios.portfolio, name="portfolio"),
    path("portfolios/<int:pk>/versions/<int:number>/", portfolios.portfolio, name="portfolio_version"),
    path("portfolios/<int:pk>/changes/", portfolios.changes, PORTFOLIO, name="portfolio_changes"),
    path("portfolios/<int:pk>/edit/", retargeting.edit, PORTFOLIO, name="portfolio_edit"),
    path("portfolios/<int:pk>/save/", retargeting.save, PORTFOLIO, name="portfolio_save"),
    path("models/", portfolios.ModelsPage.as_view(), name="models"),
    path("models/<int:pk>/", portfolios.model, name="model"),
    path("models/<int:pk>/versions/<int:number>/", portfolios.model, name="model_version"),
    path("models/<int:pk>/changes/", portfolios.changes, MODEL, name="model_changes"),
    path("models/<int:pk>/edit/", retargeting.edit, MODEL, name="model_edit"),
    path("models/<int:pk>/save/", retargeting.save, MODEL, name="model_save"),
]
