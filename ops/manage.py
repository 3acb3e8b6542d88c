"""`./run manage COMMAND`: manage.py with the servers up and the database migrated. Needs Django."""

import os
import sys

import django
from django.core.management import call_command, execute_from_command_line

from . import locks
from .home import ROOT, Home

# These are about the state of the migrations themselves, or need no database.
UNMIGRATED = {"migrate", "makemigrations", "showmigrations", "sqlmigrate", "squashmigrations", "help", "version"}
UNMIGRATED |= {"--help", "-h", "--version"}


def main(arguments):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    home = Home.from_environment()
    home.use_servers()
    try:
        if arguments and arguments[0] not in UNMIGRATED:
            migrate(home)
        execute_from_command_line([str(ROOT / "manage.py"), *arguments])
    finally:
        home.leave()


def migrate(home):
    """Bring the database up to date; two commands at once take turns, and all talk goes to standard error."""
    django.setup()
    with locks.held(home.path / "migrate.lock"):
        call_command("migrate", interactive=False, verbosity=0, stdout=sys.stderr)
