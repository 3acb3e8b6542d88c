"""A block's fill → its accounts: who gets how many shares of it, and how much of its money. Pure whole numbers.

Python's own, without a bound: a quantity × a quantity in millionths of a share does not fit into 64 bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shares:
    """What each part gets, in the order of the parts: `units` (millionths of a share) and `cents`."""

    units: list[int]
    cents: list[int]


def allocate(wanted: Sequence[int], step: int, filled: int, cents: int, keys: Sequence[Any]) -> Shares:
    """Share `filled` units, and the `cents` they came to, among parts that want so many units each.

    A full fill gives what is wanted. A partial one goes pro rata in whole steps (units of a quantity step), by largest
    remainder; the money goes by the units given, cent by cent, by largest remainder. Ties go by `keys`, the lower
    first; each part has one of its own. Nobody gets more than wanted; the sums are `filled` and `cents`, always.

    A part may want a fraction of a step, and a fraction may be filled: whole steps are given as far as they go, and
    the odd rest goes on in the same order, to parts that got no step beyond their floor.
    """
    asked = sum(wanted)
    assert step > 0, "a quantity step is positive"
    assert min(wanted, default=0) >= 0, "nobody wants less than nothing"
    assert cents >= 0, "money of a block has no sign"
    if not 0 <= filled <= asked:
        raise ValueError(f"{filled} units are filled, and {asked} were asked for.")
    order = sorted(range(len(keys)), key=keys.__getitem__)
    units = list(wanted) if filled == asked else _pro_rata(wanted, step, filled, asked, order)
    return Shares(units, _money(units, filled, cents, order))


def _behind(rests, order):
    """The parts that a floor left behind, the largest rest first; a sort keeps equal ones in their order."""
    return sorted((part for part in order if rests[part]), key=rests.__getitem__, reverse=True)


def _pro_rata(wanted, step, filled, asked, order):
    """Whole steps by largest remainder. A part's share is wanted × filled / asked units, below what it wants."""
    whole = asked * step
    floors = [divmod(one * filled, whole) for one in wanted]
    units = [steps * step for steps, _ in floors]
    left = filled - sum(units)
    passed = []
    for part in _behind([rest for _, rest in floors], order):
        if left >= step and wanted[part] - units[part] >= step:
            units[part] += step
            left -= step
        else:
            passed.append(part)
    for part in passed:
        odd = min(left, wanted[part] - units[part])
        units[part] += odd
        left -= odd
    assert not left, "what is left is less than what parts still want"
    return units


def _money(units, filled, cents, order):
    """The cents of each part: units × cents / filled, rounded down, and the rest a cent each by largest remainder."""
    if not filled:
        assert not cents, "nothing filled costs nothing"
        return [0] * len(units)
    floors = [divmod(one * cents, filled) for one in units]
    money = [floor for floor, _ in floors]
    left = cents - sum(money)
    for part in _behind([rest for _, rest in floors], order)[:left]:
        money[part] += 1
    return money
