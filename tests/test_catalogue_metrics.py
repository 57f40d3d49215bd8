from natobs.catalogue.metrics import otlp, probes, responder
from natobs.catalogue.metrics.agent import REASONS
from natobs.catalogue.slis import ALL as SLIS
from natobs.catalogue.types import Metric, metrics_of
from natobs.collectors import registry
from natobs.config import Config, Events
from natobs.errors import FormatError, KernelError
from natobs.exposition import reflector
from natobs.generate.metric_reference import modules

EVERY = [metric for module in modules() for metric in metrics_of(module)]
OWN = {"natobs_build_info", "natobs_collector_success", "natobs_collector_duration_seconds"} | {
    "natobs_collector_unavailable",
    *(metric.name for metric in metrics_of(otlp)),
}
"""What the observer itself emits, and the push of agent and prober."""
ALL_ON = Config(events=Events(enabled=True))


def emitted() -> list[Metric]:
    return [metric for collector in registry.build(ALL_ON) for metric in collector.metrics]


def test_names_are_unique() -> None:
    names = [metric.name for metric in EVERY]
    assert len(names) > 40
    assert sorted(names) == sorted(set(names))


def test_every_row_is_emitted_by_exactly_one_collector_or_by_the_prober_or_by_the_reflector() -> None:
    names = [metric.name for metric in (*emitted(), *metrics_of(probes), *reflector.METRICS, *metrics_of(responder))]
    assert sorted(names) == sorted(set(names))
    assert {metric.name for metric in EVERY} == set(names) | OWN


def test_the_registry_knows_every_collector_by_its_name() -> None:
    built = registry.build(ALL_ON)
    assert [collector.name for collector in built] == [entry.name for entry in registry.ALL]


def test_every_reason_of_a_kernel_error_has_its_label_value() -> None:
    assert {KernelError.reason, FormatError.reason} <= set(REASONS)


def test_there_is_a_row_for_each_sli_and_its_inputs_are_emitted() -> None:
    assert [sli.id for sli in SLIS] == [f"M{number}" for number in range(1, 11)]
    assert {metric for sli in SLIS for metric in sli.inputs} <= set(emitted())
