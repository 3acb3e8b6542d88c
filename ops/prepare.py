"""Before the firm starts: `python -m ops.prepare [--seed]` migrates, seeds an empty database, prints the demo sign-ins.

Standard output is seed_demo's own: a line per person of the demo firm, nothing where there is none. Needs Django.
"""

import os
import sys

from django.core.management import call_command, get_commands

from .home import Home
from .manage import migrate


def main(seed):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    migrate(Home.from_environment())
    if seed and "seed_demo" in get_commands():
        call_command("seed_demo", if_empty=True)


if __name__ == "__main__":
    main("--seed" in sys.argv[1:])
