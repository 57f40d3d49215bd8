"""Labs for tests: built once for each module, and nothing left behind when the session ends."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from natobs.errors import LabError
from natobs.lab import sweep, topology, traffic
from natobs.lab.lab import Host, Lab
from tests.lab.attempts import PRODUCED
from tests.lab.reason_scenarios import IMPOSSIBLE

LabFactory = Callable[[topology.Topology], Lab]


@pytest.fixture(scope="session", autouse=True)
def namespaces() -> None:
    """Fail every test here, in few words, where this user may not make namespaces; a skip would hide that."""
    try:
        with Lab(topology.two_armed("trial")):
            pass
    except LabError as error:
        pytest.fail(f"tests in the lab need root or user namespaces: {error}", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind(namespaces: None) -> Iterator[None]:
    """Sweep labs of dead owners before the session; after it, fail if one of its own is left."""
    sweep.sweep()
    mine = f"{os.getpid()}:"
    yield
    assert [found for found in sweep.holders() if found.owner.startswith(mine)] == []
    assert sweep.orphans(settle=20.0) == []
    assert sweep.strays() == []


@pytest.fixture(scope="module")
def one_cpu() -> Iterator[None]:
    """Programs that begin now, and the kernel's work for their packets, stay on one CPU.

    On several, two packets of a flow may be sent at the same time, and the later one overtakes the other.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="session", autouse=True)
def no_impossible_reasons() -> Iterator[None]:
    """After the session, fail if an attempt of any test had a reason that its kind is said never to have."""
    yield
    assert set() == PRODUCED & IMPOSSIBLE


@pytest.fixture(scope="module")
def lab_factory() -> Iterator[LabFactory]:
    """Build labs on demand, with servers running; they end with the module.

    Example: ``lab = lab_factory(topology.two_armed(backend="iptables-nft"))``.
    """
    with ExitStack() as labs:

        def build(wanted: topology.Topology) -> Lab:
            lab = labs.enter_context(Lab(wanted))
            traffic.start_servers(lab)
            return lab

        yield build


@pytest.fixture(scope="module")
def two_armed_lab(lab_factory: LabFactory) -> Lab:
    """Give a two-armed lab (nftables) with servers running; shared by the tests of a module."""
    return lab_factory(topology.two_armed())


@pytest.fixture(scope="module")
def one_armed_lab(lab_factory: LabFactory) -> Lab:
    """Give a one-armed lab (nftables) with servers running; shared by the tests of a module."""
    return lab_factory(topology.one_armed())


@pytest.fixture(scope="session")
def fetch() -> Callable[[Host, str], str]:
    """Give ``fetch(host, url) -> str``: the body of an HTTP URL, read from inside a host of a lab.

    Example: ``fetch(lab.host("nat"), "http://127.0.0.1:9650/metrics")``. Raises
    LabError when nobody answers within 10 s or the status is not 2xx.
    """
    return traffic.fetch
