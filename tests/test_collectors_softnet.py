from natobs.collectors.base import Reading
from natobs.collectors.softnet import SoftnetCollector
from natobs.kernel.softnet import SOFTNET_FILE
from tests.fakes import FakeMachine
from tests.test_kernel_softnet import row


def values(reading: Reading) -> dict[str, float]:
    return {
        " ".join((sample.metric.name, *sample.labels)).removeprefix("natobs_softnet_"): sample.value
        for sample in reading.samples
    }


def test_what_is_read_is_what_is_exported() -> None:
    collector = SoftnetCollector()
    data = row(15, c0=7, c1=1, c2=2, c11=3) + row(15, c0=9, c12=5)
    reading = collector.collect(FakeMachine({SOFTNET_FILE.key: data}))
    assert values(reading) == {
        "processed_total 0": 7,
        "dropped_total 0": 1,
        "times_squeezed_total 0": 2,
        "backlog_packets 0": 3,
        "processed_total 5": 9,
        "dropped_total 5": 0,
        "times_squeezed_total 5": 0,
        "backlog_packets 5": 0,
    }
    assert {sample.metric for sample in reading.samples} == set(collector.metrics)


def test_an_old_kernel_has_no_backlog_and_it_is_not_zero() -> None:
    found = values(SoftnetCollector().collect(FakeMachine({SOFTNET_FILE.key: row(11, c0=7)})))
    assert set(found) == {"processed_total 0", "dropped_total 0", "times_squeezed_total 0"}


def test_a_counter_that_wraps_goes_on() -> None:
    collector = SoftnetCollector()
    collector.collect(FakeMachine({SOFTNET_FILE.key: row(13, c0=0xFFFFFFF0)}))
    found = values(collector.collect(FakeMachine({SOFTNET_FILE.key: row(13, c0=0x10)})))
    assert found["processed_total 0"] == (1 << 32) + 0x10
