"""What users of the lab do is drawn by weight; without a dead address nobody waits for one."""

import random

import pytest

from natobs.lab.users import Users


@pytest.mark.parametrize(("dead", "weight"), [("198.51.100.250", 3), ("", 0)])
def test_a_dead_address_is_called_only_where_there_is_one(dead: str, weight: int) -> None:
    users = Users(["198.51.100.1"], dead, random.Random(1))  # noqa: S311  traffic, not secrets
    weights = {kind.__name__: number for kind, number in users._kinds.items()}
    assert weights.pop("_timed_out") == weight
    assert all(weights.values())
