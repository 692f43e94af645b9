"""The schedule `polynomial`."""

import pytest

from mtlkit_hello.polynomial import Polynomial


def test_it_falls_by_its_power():
    schedule = Polynomial(power=2.0)
    factors = [schedule.at(step, steps=10) for step in (0, 5, 10)]
    assert factors == pytest.approx([1.0, 0.25, 0.0])
