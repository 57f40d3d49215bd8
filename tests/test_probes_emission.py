"""Every row of the catalogue that belongs to the probes is emitted by a service that has seen what it is about."""

import time

import pytest

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample, Metric, metrics_of
from natobs.config import Prefix
from natobs.probe_config import Compare, Expect
from natobs.probes.model import Clock, Outcome, PathState, Target
from natobs.probes.service import ProbeService
from tests.scripted import Attempting, at_once, echo, kinds, probe_file, refused, settings

QUICK: dict[str, object] = {"interval_seconds": 0.1, "timeout_seconds": 0.1, "retries": 1, "retry_delay_seconds": 0.01}
RICH = Outcome(
    rtt=0.01,
    clock=Clock.TCP_INFO,
    phases=dict.fromkeys(metric.PHASES, 0.001),
    observed=("192.0.2.1", 4711),
    path_mtu=1400,
    path_state=PathState.CLAMPED,
    certificate_expiry=2e9,
    syn_retransmits=1,
)
ROWS = list(metrics_of(metric))


def script(target: Target) -> Attempting:
    return {"rich.test": at_once(RICH), "bad.test": at_once(refused())}.get(target.host, echo)


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> list[AnySample]:
    """Give the samples of a service whose probes use all that a probe file has; all it may take 40 s."""
    document = tmp_path_factory.mktemp("targets") / "targets.json"
    document.write_text('[{"targets": ["found.test"]}]')
    service = ProbeService(
        probe_file(
            settings(name="plain", targets=("good.test", "bad.test"), targets_file=str(document), **QUICK),
            settings(
                name="rich",
                kind="http",
                targets=("rich.test",),
                critical=True,
                expect=Expect(addresses=(Prefix("192.0.2.0/24"),)),
                **QUICK,
            ),
            settings(name="paired", targets=("good.test",), compare=Compare(source="192.0.2.2"), **QUICK),
            settings(name="gateway", kind="icmp", targets=("good.test",), access=True, **QUICK),
        ),
        kinds(script),
    )
    service.start()
    try:
        deadline = time.monotonic() + 40
        while {sample.metric for sample in service.samples()} < set(ROWS) and time.monotonic() < deadline:
            time.sleep(0.05)
        return service.samples()
    finally:
        service.stop()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_row_has_an_emitter(emitted: list[AnySample], row: Metric) -> None:
    assert row in {sample.metric for sample in emitted}, f"nothing emits {row.name}; or nothing here makes it happen"


def test_nothing_else_is_emitted(emitted: list[AnySample]) -> None:
    assert {sample.metric.name for sample in emitted} <= {row.name for row in ROWS}


def test_values_of_closed_sets_are_in_them(emitted: list[AnySample]) -> None:
    for sample in emitted:
        for label, value in zip(sample.metric.labels, sample.labels, strict=True):
            assert not label.domain or value in label.domain, sample


def test_a_path_has_one_state_of_all(emitted: list[AnySample]) -> None:
    states = {sample.labels[-1]: sample.value for sample in emitted if sample.metric is metric.PATH_MTU_STATE}
    assert states == {state: float(state == "clamped") for state in metric.PATH_STATES}


def test_phases_of_critical_targets_stand_for_themselves(emitted: list[AnySample]) -> None:
    phases = [sample.labels for sample in emitted if sample.metric is metric.PHASE_SECONDS]
    assert phases == [("rich", "http", "rich.test:862", phase) for phase in metric.PHASES]
