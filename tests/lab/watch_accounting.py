"""Collect accounting of this host, once for each line of standard input, as JSON: samples by name and labels.

``python -m tests.lab.watch_accounting SETTINGS``; a line is ``collect``, ``restart`` (a new collector goes on from the
state file) or ``install`` (the table is made anew). SETTINGS is JSON: prefixes, seconds of the sets' timeout, size,
top, state file.
"""

import ipaddress
import json
import resource
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec

from natobs.collectors.accounting import AccountingCollector
from natobs.collectors.base import run
from natobs.kernel import accounting_install
from natobs.kernel.accounting_table import Settings
from natobs.kernel.live import LiveMachine


class Wanted(msgspec.Struct):
    """What the test asks for."""

    inside: list[str]
    timeout: int
    size: int
    top: int
    state: str


def main() -> None:
    wanted = msgspec.json.decode(sys.argv[1], type=Wanted)
    inside = [ipaddress.ip_network(text) for text in wanted.inside]
    settings = Settings(inside, wanted.size, wanted.size, wanted.timeout, 126)

    def begin() -> AccountingCollector:
        return AccountingCollector(settings, wanted.top, {}, Path(wanted.state))

    with closing(LiveMachine()) as machine:
        accounting_install.install(machine, settings)
        collector = begin()
        for line in sys.stdin:
            if line.strip() == "restart":
                collector = begin()
            elif line.strip() == "install":
                settings = Settings(inside, wanted.size - 1, wanted.size, wanted.timeout, 126)
                accounting_install.install(machine, settings)
            start = time.process_time()
            outcome = run(collector, machine)
            said = {
                "gaps": [gap.detail for gap in outcome.gaps],
                "cpu_seconds": time.process_time() - start,
                "kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                "samples": {" ".join([s.metric.name, *s.labels]): s.value for s in outcome.samples},
            }
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
