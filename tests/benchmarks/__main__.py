"""`./run bench [peers] [engine] [pages] [lists] [batches] [nightly] [import] [start] [tickets]
[allocating]`: a table, also written into docs/benchmarks.md in place of the part's last one."""

import sys

import django
from django.utils import timezone

django.setup()

from . import allocating, batches, imports, lists, nightly, pages, peers, report, requests, starts, tickets  # noqa: E402

PARTS = {
    "peers": peers.figures,
    "engine": batches.figures,
    "pages": pages.figures,
    "lists": lists.figures,
    "batches": requests.figures,
    "nightly": nightly.figures,
    "import": imports.figures,
    "start": starts.figures,
    "allocating": allocating.figures,
    "tickets": tickets.figures,
}


def main(chosen):
    unknown = set(chosen) - PARTS.keys()
    if unknown:
        sys.exit(f"bench knows {', '.join(PARTS)}; not {', '.join(sorted(unknown))}.")
    found = {name: list(measure()) for name, measure in PARTS.items() if not chosen or name in chosen}
    where = report.machine(batches.database_version())
    print(report.table([figure for figures in found.values() for figure in figures]) + f"\n{where}")
    report.write(found, where, timezone.localdate().isoformat())


if __name__ == "__main__":
    main(sys.argv[1:])
