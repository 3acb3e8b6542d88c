"""A progress bar on standard error: redrawn in place on a terminal, a line now and then in a log."""

import time

WIDTH = 24
EVERY = {True: 0.2, False: 5.0}  # seconds between two drawings, on a terminal and elsewhere


class Bar:
    """Draws `label [####----] 45 %  1,234 things  567/s`; the things are what `done` counts."""

    def __init__(self, out, label, things):
        self.out, self.label, self.things = out, label, things
        self.started = self.drawn = time.monotonic()
        self.live = bool(getattr(out, "isatty", lambda: False)())

    def show(self, share, count):
        """Draw it when it is time again: `share` (0..1) of the work is done, `count` things so far."""
        if time.monotonic() - self.drawn >= EVERY[self.live]:
            self._draw(share, count, "")

    def end(self, count, words=""):
        """Draw the whole bar a last time, with words behind it."""
        self._draw(1.0, count, f"  {words}", last=True)

    def _draw(self, share, count, words, last=False):
        self.drawn = time.monotonic()
        rate = count / max(self.drawn - self.started, 0.001)
        done = round(WIDTH * min(share, 1.0))
        bar = "#" * done + "-" * (WIDTH - done)
        line = f"{self.label:<17} [{bar}] {share:4.0%}  {count:,} {self.things}  {rate:,.0f}/s{words}"
        self.out.write(f"\r{line}\033[K" if self.live else line, ending="\n" if last or not self.live else "")
        self.out.flush()
