from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import softnet
from natobs.kernel.live import LiveMachine
from natobs.kernel.softnet import Softnet


def row(columns: int, **at: int) -> bytes:
    cells = [f"{at.get(f'c{place}', 0):08x}" for place in range(columns)]
    return " ".join(cells).encode() + b"\n"


@pytest.mark.parametrize("columns", [9, 10, 11])
def test_before_5_10_cpus_are_numbered_by_line(columns: int) -> None:
    data = row(columns, c0=0xFFFFFFFF, c1=2, c2=3) + row(columns, c0=4)
    assert softnet.parse_softnet(data) == {0: Softnet(0xFFFFFFFF, 2, 3, None), 1: Softnet(4, 0, 0, None)}


@pytest.mark.parametrize("columns", [13, 15])
def test_since_5_10_each_line_names_its_cpu(columns: int) -> None:
    data = row(columns, c0=1, c11=9) + row(columns, c0=2, c1=5, c2=6, c12=11)
    assert softnet.parse_softnet(data) == {0: Softnet(1, 0, 0, 9), 11: Softnet(2, 5, 6, 0)}


@pytest.mark.parametrize("data", [b"", b"\n", b"1 2\n", b"1 2 0x3\n", b"1 2 -3\n", b"1 2 3_4\n", b"cpu 1 2\n", b"\xff"])
def test_another_file_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        softnet.parse_softnet(data)


@given(st.one_of(st.binary(max_size=200), st.text("0123456789abcdef \n", max_size=200).map(str.encode)))
def test_hostile_input_is_a_format_error_or_nothing_else(data: bytes) -> None:
    try:
        cpus = softnet.parse_softnet(data)
    except FormatError:
        return
    assert 0 < len(cpus) <= len(data.splitlines())


@given(
    st.lists(st.tuples(*[st.integers(0, 0xFFFFFFFF)] * 13), min_size=1, max_size=4, unique_by=lambda cells: cells[12])
)
def test_what_is_written_is_read(rows: list[tuple[int, ...]]) -> None:
    data = b"".join(" ".join(f"{cell:08x}" for cell in cells).encode() + b"\n" for cells in rows)
    assert softnet.parse_softnet(data) == {
        cells[12]: Softnet(cells[0], cells[1], cells[2], cells[11]) for cells in rows
    }


def test_this_machine_has_a_line_for_each_online_cpu() -> None:
    machine = LiveMachine()
    cpus = softnet.read_softnet(machine)
    machine.close()
    online = Path("/sys/devices/system/cpu/online").read_text("ascii")
    assert cpus
    assert max(cpus) == int(online.strip().replace("-", ",").rpartition(",")[2])
