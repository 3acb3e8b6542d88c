"""Which columns a table shows, and in which order."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """The shown columns of a table: the fixed ones first, then the person's choice, then the rest hidden."""

    fixed: tuple[str, ...]
    chosen: tuple[str, ...]
    hidden: tuple[str, ...]

    @classmethod
    def of(cls, table, wanted=None):
        """A layout of `table` from column names; unknown, repeated and fixed names are dropped. None: the default."""
        names = tuple(table.base_columns)
        fixed = tuple(table.fixed)
        if wanted is None:
            wanted = names if table.default is None else table.default
        chosen = tuple(name for name in dict.fromkeys(wanted) if name in names and name not in fixed)
        return cls(fixed, chosen, tuple(name for name in names if name not in fixed + chosen))

    @property
    def shown(self):
        return self.fixed + self.chosen
