"""Print what one collector reads here, as JSON: ``python tests/lab/read_collector.py firewall``.

A list of [metric name, labels, value]; sources that gave nothing go to standard
error. For tests that ask from inside a host of a lab.
"""

import importlib
import inspect
import json
import sys
from collections.abc import Callable

import msgspec

from natobs import config
from natobs.catalogue.types import Sample
from natobs.collectors.base import Collector, run
from natobs.kernel.live import LiveMachine


def samples(name: str) -> list[Sample]:
    """Run the collector of that name once, made with the default configuration.

    An argument of its constructor is the section of its name, or the field of that name in any section.
    """
    classes = vars(importlib.import_module(f"natobs.collectors.{name}")).values()
    makers: list[Callable[..., Collector]] = [kind for kind in classes if getattr(kind, "name", "") == name]
    (make,) = makers
    defaults = config.Config()
    sections = {field: getattr(defaults, field) for field in defaults.__struct_fields__}
    known = dict(sections)
    for section in sections.values():
        if isinstance(section, msgspec.Struct):
            known |= {field: getattr(section, field) for field in section.__struct_fields__}
    wanted = inspect.signature(make).parameters.values()
    # What has a default and is no part of the configuration, for example a clock, stays as it is.
    collector = make(**{one.name: known[one.name] for one in wanted if one.name in known or one.default is one.empty})
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
