"""Print what one collector reads here, as JSON: ``python tests/lab/read_collector.py firewall``.

A list of [metric name, labels, value]; sources that gave nothing go to standard
error. For tests that ask from inside a host of a lab.
"""

import importlib
import inspect
import json
import sys

import msgspec

from natobs import config
from natobs.catalogue.types import Sample
from natobs.collectors.base import Collector, run
from natobs.kernel.live import LiveMachine


def samples(name: str) -> list[Sample]:
    """Run the collector of that name once, made with the default configuration.

    An argument of its constructor is the section of its name, or the field of that name in any section.
    """
    module = importlib.import_module(f"natobs.collectors.{name}")
    kinds = [kind for _name, kind in inspect.getmembers(module, inspect.isclass) if getattr(kind, "name", "") == name]
    (kind,) = kinds
    defaults = config.Config()
    sections = {field: getattr(defaults, field) for field in defaults.__struct_fields__}
    known = dict(sections)
    for section in sections.values():
        if isinstance(section, msgspec.Struct):
            known |= {field: getattr(section, field) for field in section.__struct_fields__}
    collector = kind(**{argument: known[argument] for argument in inspect.signature(kind).parameters})
    assert isinstance(collector, Collector)
    machine = LiveMachine()
    try:
        outcome = run(collector, machine)
    finally:
        machine.close()
    for gap in outcome.gaps:
        sys.stderr.write(f"{gap.reason}: {gap.detail}\n")
    return list(outcome.samples)


if __name__ == "__main__":
    json.dump(
        [
            [sample.metric.name, dict(zip(sample.metric.label_names, sample.labels, strict=True)), sample.value]
            for sample in samples(sys.argv[1])
        ],
        sys.stdout,
    )
