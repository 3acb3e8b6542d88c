from django.contrib.auth import views
from django.urls import path

from accounts.forms import SignInForm

sign_in = views.LoginView.as_view(redirect_authenticated_user=False, authentication_form=SignInForm)

urlpatterns = [
    path("login/", sign_in, name="login"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
]
