from django.core.management.base import BaseCommand

from accounts.models import Account, User
from rebalancer.services import demo


class Command(BaseCommand):
    help = "Brings in a small demo firm; where it is there already, nothing changes. Prints its sign-ins."

    def add_arguments(self, parser):
        parser.add_argument("--if-empty", action="store_true", help="only where there are no accounts at all")

    def handle(self, if_empty=False, **options):
        if not (if_empty and Account.objects.exists()):
            made = demo.seed()
            self.stderr.write("The demo firm is ready." if made else "The demo firm is there already.")
        if demo.is_there():
            self._print_sign_ins()

    def _print_sign_ins(self):
        there = set(User.objects.filter(username__in=demo.PEOPLE).values_list("username", flat=True))
        for username, (first, last, role) in demo.PEOPLE.items():
            if username in there:
                self.stdout.write(f"{username:<11} {demo.PASSWORD}   {role.value} ({first} {last})")
