import pytest
from hypothesis import given

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import flowtables
from natobs.kernel.flowtables import Flowtables
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged
from tests.nft_messages import INET, attribute, message, text, u32

PLAIN = message(22, INET, text(1, "filter"), text(2, "fast"), u32(4, 1), u32(7, 0))
BEFORE_FLAGS = message(22, INET, text(1, "filter"), text(2, "fast"))  # Linux 4.16 to 5.7
OFFLOADED = message(22, INET, text(1, "filter"), text(2, "faster"), u32(7, 1))
COUNTING_OFFLOADED = message(22, INET, text(1, "filter"), text(2, "fastest"), u32(7, 3))
COUNTING = message(22, INET, text(1, "filter"), text(2, "counting"), u32(7, 2))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Flowtables(0, 0)),
        (PLAIN + BEFORE_FLAGS + COUNTING, Flowtables(3, 0)),
        (OFFLOADED + COUNTING_OFFLOADED + PLAIN, Flowtables(1, 2)),
        (message(3, INET, text(1, "filter")), Flowtables(0, 0)),
    ],
)
def test_flowtables_are_counted_by_who_forwards(data: bytes, expected: Flowtables) -> None:
    assert flowtables.parse(data) == expected
    assert flowtables.read(FakeMachine({flowtables.FLOWTABLES.key: data})) == expected


def test_without_nftables_it_is_unavailable() -> None:
    with pytest.raises(UnavailableError):
        flowtables.read(FakeMachine())


def test_a_flag_of_another_size_is_a_format_error() -> None:
    with pytest.raises(FormatError):
        flowtables.parse(message(22, INET, attribute(7, b"\1\1\1")))


@given(damaged(PLAIN, OFFLOADED + PLAIN))
def test_damaged_answers_are_a_format_error_or_a_count(data: bytes) -> None:
    found = attempt(flowtables.parse, data)
    assert found is None or min(found.software, found.hardware) >= 0
