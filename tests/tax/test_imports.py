import pytest

from tax.imports import shared


@pytest.mark.parametrize(("parts", "units", "cost", "wanted"), [
    ([(1, 60), (2, 40)], 100, 1000, [(1, 60, 600), (2, 40, 400)]),
    ([(1, 60), (2, 40)], 120, 999, [(1, 60, 500), (2, 60, 499)]),     # half up; the last takes what is left
    ([(1, 60), (2, 40)], 50, 1000, [(1, 50, 1000)]),
    ([(1, 60), (2, 40)], 60, None, [(1, 60, None)]),
    ([(7, 5)], 3, 10, [(7, 3, 10)]),
])  # fmt: skip
def test_a_lot_is_shared_among_the_sleeves_that_had_it(parts, units, cost, wanted):
    assert shared(parts, units, cost) == wanted
