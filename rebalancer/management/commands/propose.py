import time

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from accounts.listing.figures import plural
from accounts.models import Account, Portfolio, User
from rebalancer import selectors
from rebalancer.management.arguments import trade_day
from rebalancer.management.output import printing
from rebalancer.models import Batch
from rebalancer.services import batches, claims
from rebalancer.states import BatchState, Logic, Status

ASK_EVERY = 0.2  # seconds, while another process has the batch
OFFERED = (Logic.BEST_FIT, Logic.MIN_TRANSACTION)


class Command(BaseCommand):
    help = "Opens a batch and proposes it; prints its id alone on the last line of standard output."

    def add_arguments(self, parser):
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--portfolio", metavar="NAME", help="the accounts of a portfolio")
        which.add_argument("--status", metavar="STATUS", help="the accounts with a status: its name, slug or number")
        which.add_argument("--queued", action="store_true", help="the accounts to rebalance that the user sees")
        which.add_argument("--accounts", metavar="FILE", help="a text file with an account number a line")
        parser.add_argument("--logic", choices=[logic.value for logic in OFFERED], required=True)
        parser.add_argument("--user", metavar="NAME", required=True, help="who opens it")
        parser.add_argument("--as-of", type=trade_day, metavar="DATE", help="the trade date (default: today)")

    def handle(self, *, logic, user, as_of, **which):
        person = self._person(user)
        chosen = self._chosen(person, **which)
        batch = self._open(person, chosen, logic, as_of)
        self._wait(batch)
        with printing(self.stdout):
            self.stdout.write(str(batch.pk))
        if batch.state != BatchState.PENDING_APPROVAL:
            raise CommandError(batches.what_happened(batch))

    def _person(self, name):
        try:
            return User.objects.get(username=name)
        except User.DoesNotExist:
            raise CommandError(f"There is no user {name}.") from None

    def _chosen(self, person, portfolio, status, queued, accounts, **_) -> QuerySet[Account]:
        if queued:
            return selectors.queue(person)
        if accounts is not None:
            return self._listed(person, accounts)
        if status is not None:
            return selectors.accounts(person).filter(check_row__status=_status(status))
        if not Portfolio.objects.filter(name=portfolio).exists():
            raise CommandError(f"There is no portfolio {portfolio}.")
        return selectors.accounts(person).filter(portfolio__name=portfolio)

    def _listed(self, person, path):
        """The accounts of a file; numbers that this person cannot see are named like numbers that do not exist."""
        try:
            with open(path, encoding="utf-8-sig") as file:
                lines = enumerate(map(str.strip, file), 1)
                wanted = {number: line for line, number in lines if number}
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}") from None
        for number, line in wanted.items():
            if "\0" in number:
                raise CommandError(f"{path}, line {line}: holds a NUL character.")
        chosen = Account.objects.visible_to(person).filter(number__in=list(wanted))
        known = set(chosen.values_list("number", flat=True))
        for number in wanted:
            if number not in known:
                self.stderr.write(f"left out: {number}: there is no such account")
        return chosen

    def _open(self, person, chosen, logic, as_of):
        try:
            opened = batches.open_batch(by=person, accounts=chosen, shown=chosen.count(), logic=logic, trade_date=as_of)
        except batches.NothingLeft as none:
            self._name(none.left_out)
            raise CommandError("None of the accounts can be proposed.") from none
        except batches.Refused as refused:
            raise CommandError(str(refused)) from refused
        self._name(opened.left_out)
        return opened.batch

    def _name(self, left_out):
        for one in left_out:
            self.stderr.write(f"left out: {one}")

    def _wait(self, batch: Batch):
        """Propose it here; where a worker was quicker, wait for it, and go on where one has died."""
        batch.refresh_from_db()
        while batch.state in (BatchState.NEW, BatchState.PROPOSING):
            batches.propose_batch(batch.pk)
            batch.refresh_from_db()
            if batch.state == BatchState.PROPOSING:
                time.sleep(ASK_EVERY)
                claims.release_expired()
        self.stderr.write(f"batch {batch.pk}: {batch.done:,} of {plural(batch.total, 'account')} looked at")


def _status(text):
    """A status by its name, slug or number."""
    wanted = text.strip().lower().replace("_", " ").replace("-", " ")
    for status in Status:
        if wanted in (status.label.lower(), str(status.value)):
            return status.value
    names = ", ".join(f"{status.value} {status.label}" for status in Status)
    raise CommandError(f"There is no status {text}. They are: {names}.")
