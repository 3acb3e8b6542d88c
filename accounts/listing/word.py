"""A page that asks for a person's word on one thing, and does something with it."""

from abc import ABC, abstractmethod

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views import View
from django.views.decorators.cache import never_cache

from . import answers


@method_decorator(never_cache, name="dispatch")
class WordPage(LoginRequiredMixin, View, ABC):
    """GET shows the thing, POST decides and leads back to where it was found.

    What the person may not do answers 403 (the service leaves an audit line), what does not go, or not any more, 409
    with the thing as it is now and the words as they were typed.
    """

    template_name = ""
    refusals: tuple[type[Exception], ...] = ()  # what the service raises in words for a person

    @cached_property
    @abstractmethod
    def thing(self):
        """What is decided about; Http404 where this person does not see it."""

    @property
    @abstractmethod
    def back(self) -> str:
        """The address to go on to."""

    @abstractmethod
    def why_not(self) -> str:
        """Why this person cannot decide now; empty when they can."""

    @abstractmethod
    def decide(self, data) -> str:
        """Do it with what was posted; return what was done, in words."""

    def context(self):
        """What the page's template needs besides `thing`, `back`, `why_not`, `typed` and `error`."""
        return {}

    def handle_no_permission(self):
        if self.request.method == "POST":
            return answers.sign_in_again(self.request)
        return super().handle_no_permission()

    def get(self, request, **kwargs):
        return self.page()

    def post(self, request, **kwargs):
        assert self.thing is not None
        try:
            done = self.decide(request.POST)
        except PermissionDenied:
            return answers.refused(request, f"{self.why_not()} Nothing was done.", self.back, status=403)
        except self.refusals as refusal:
            return self.as_it_is_now().page(str(refusal), request.POST.get("words", ""), 409)
        messages.success(request, done)
        return HttpResponseRedirect(self.back)

    def as_it_is_now(self):
        """This page with nothing of it read yet."""
        now = type(self)()
        now.setup(self.request, *self.args, **self.kwargs)
        return now

    def page(self, error="", typed="", status=200):
        told = {"thing": self.thing, "back": self.back, "why_not": self.why_not(), "error": error, "typed": typed}
        return render(self.request, self.template_name, told | self.context(), status=status)
