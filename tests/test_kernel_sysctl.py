from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.catalogue.metrics.sysctls import SYSCTL
from natobs.errors import FormatError, UnavailableError
from natobs.kernel import sysctl
from natobs.kernel.live import LiveMachine
from tests.fakes import FakeMachine
from tests.mutate import attempt

PORTS = "net.ipv4.ip_local_port_range"


def test_the_file_of_a_parameter() -> None:
    assert sysctl.query("net.ipv4.conf.all.rp_filter").path == "/proc/sys/net/ipv4/conf/all/rp_filter"
    assert sysctl.query(f"{PORTS}.min") == sysctl.query(f"{PORTS}.max") == sysctl.query(PORTS)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("x", b"1\n", 1), ("x", b"-1\n", -1), (f"{PORTS}.min", b"32768\t60999\n", 32768), (f"{PORTS}.max", b"1 2\n", 2)],
)
def test_values(name: str, text: bytes, value: int) -> None:
    assert sysctl.parse(text, name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("x", b""), ("x", b"1 2\n"), ("x", b"fq_codel\n"), ("x", b"9" * 30), (f"{PORTS}.min", b"1\n"), ("x", b"9" * 5000)],
)
def test_what_is_no_value(name: str, text: bytes) -> None:
    with pytest.raises(FormatError, match=name):
        sysctl.parse(text, name)


@given(st.binary(max_size=40), st.sampled_from(["x", f"{PORTS}.max"]))
def test_any_bytes_give_a_number_or_a_format_error(data: bytes, name: str) -> None:
    found = attempt(lambda data: sysctl.parse(data, name), data)
    assert found is None or -(1 << 63) <= found < 1 << 64


def test_a_parameter_that_is_missing_is_absent() -> None:
    with pytest.raises(UnavailableError) as caught:
        sysctl.read(FakeMachine(), "net.ipv4.ip_forward")
    assert caught.value.reason == "absent"


def test_this_machine_has_what_its_files_say() -> None:
    machine, compared = LiveMachine(), 0
    for name in SYSCTL.labels[0].domain:
        parameter = name.removesuffix(".min").removesuffix(".max")
        file = Path("/proc/sys", *parameter.split("."))
        if file.exists():
            assert str(sysctl.read(machine, name)) in file.read_text("ascii").split()
            compared += 1
    assert compared >= 10
