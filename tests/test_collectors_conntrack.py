from hypothesis import given
from hypothesis import strategies as st

from natobs.collectors.base import Reading, run
from natobs.collectors.conntrack import ConntrackCollector, attribute_drops
from natobs.errors import UnavailableError
from natobs.kernel import conntrack
from tests.fakes import FakeMachine
from tests.test_kernel_conntrack import stats, stats_cpu, u32


def machine(**drops: int) -> FakeMachine:
    kinds = {"insert_failed": 9, "drop": 10, "chain_toolong": 15}
    return FakeMachine(
        {
            conntrack.STATS.key: stats(u32(1, 42), u32(2, 4096)),
            conntrack.STATS_CPU.key: stats_cpu(0, *(u32(kinds[name], value) for name, value in drops.items())),
            conntrack.BUCKETS_FILE.key: b"1024\n",
        }
    )


def values(reading: Reading) -> dict[str, float]:
    return {"".join((sample.metric.name, *sample.labels)): sample.value for sample in reading.samples}


def test_what_is_read_is_what_is_exported() -> None:
    reading = ConntrackCollector().collect(machine(drop=5))
    assert not reading.gaps
    assert values(reading) == {
        "natobs_conntrack_entries": 42,
        "natobs_conntrack_entries_limit": 4096,
        "natobs_conntrack_buckets": 1024,
        "natobs_conntrack_source_infoctnetlink": 1,
        "natobs_conntrack_drop_total": 5,
        "natobs_new_flow_drops_totaltable_full": 0,
        "natobs_new_flow_drops_totaltuple_clash": 0,
        "natobs_new_flow_drops_totalchain_too_long": 0,
    }


def test_new_flow_drops_count_from_the_first_reading_on() -> None:
    collector = ConntrackCollector()
    collector.collect(machine(drop=100, insert_failed=90, chain_toolong=1))
    collector.collect(machine(drop=110, insert_failed=90, chain_toolong=1))
    reading = values(collector.collect(machine(drop=117, insert_failed=99, chain_toolong=3)))
    assert reading["natobs_new_flow_drops_totaltable_full"] == 10
    assert reading["natobs_new_flow_drops_totaltuple_clash"] == 7
    assert reading["natobs_new_flow_drops_totalchain_too_long"] == 2


def test_reasons_by_what_the_kernel_counts_for_each() -> None:
    assert attribute_drops({"drop": 200, "insert_failed": 200}) == {
        "table_full": 0,
        "tuple_clash": 200,
        "chain_too_long": 0,
    }
    assert attribute_drops({"drop": 50})["table_full"] == 50
    assert attribute_drops({"insert_failed": 4, "chain_toolong": 4}) == {
        "table_full": 0,
        "tuple_clash": 0,
        "chain_too_long": 4,
    }


@given(st.integers(0, 999), st.integers(0, 999), st.integers(0, 999))
def test_no_reason_is_ever_negative(full: int, clash: int, chain: int) -> None:
    increments = {"drop": full + clash, "insert_failed": clash + chain, "chain_toolong": chain}
    assert attribute_drops(increments) == {"table_full": full, "tuple_clash": clash, "chain_too_long": chain}


def drops(collector: ConntrackCollector, source: FakeMachine) -> tuple[float, float]:
    """The counter drop, and what the collector made of its increments."""
    reading = values(collector.collect(source))
    return reading["natobs_conntrack_drop_total"], reading["natobs_new_flow_drops_totaltable_full"]


def test_counters_that_wrap_go_on_and_those_that_were_reset_count_from_zero() -> None:
    collector = ConntrackCollector()
    assert drops(collector, machine(drop=2**32 - 3)) == (2**32 - 3, 0)
    assert drops(collector, machine(drop=4)) == (2**32 + 4, 7)
    assert drops(collector, machine(drop=1)) == (2**32 + 5, 8)


def procfs(*per_cpu: int) -> FakeMachine:
    return FakeMachine({conntrack.STAT_FILE.key: b"".join([b"drop\n", *(b"%08x\n" % value for value in per_cpu)])})


def test_a_change_of_source_adds_nothing_and_counting_goes_on() -> None:
    collector = ConntrackCollector()
    assert drops(collector, machine(drop=30)) == (30, 0)
    assert drops(collector, procfs(10, 22)) == (30, 0)
    assert drops(collector, procfs(11, 22)) == (31, 1)
    assert drops(collector, machine(drop=40)) == (31, 1)
    assert drops(collector, machine(drop=45)) == (36, 6)


def test_a_field_that_only_the_other_source_has_is_taken_as_it_is_and_is_no_drop() -> None:
    collector = ConntrackCollector()
    collector.collect(procfs(10))
    reading = values(collector.collect(machine(drop=10, insert_failed=7, chain_toolong=3)))
    assert reading["natobs_conntrack_insert_failed_total"] == 7
    assert reading["natobs_new_flow_drops_totalchain_too_long"] == 0
    assert "natobs_conntrack_insert_failed_total" not in values(collector.collect(procfs(10)))


def test_without_privilege_only_what_was_read_is_exported() -> None:
    refusal = UnavailableError("permission", "needs CAP_NET_ADMIN")
    poor = FakeMachine(
        {
            conntrack.STATS.key: refusal,
            conntrack.STATS_CPU.key: refusal,
            conntrack.COUNT_FILE.key: b"3",
            conntrack.MAX_FILE.key: b"9",
        }
    )
    outcome = run(ConntrackCollector(), poor)
    assert [(sample.metric.name, sample.value) for sample in outcome.samples] == [
        ("natobs_conntrack_entries", 3),
        ("natobs_conntrack_entries_limit", 9),
    ]
    assert {gap.reason for gap in outcome.gaps} == {"permission", "absent"}
    assert not outcome.success
