"""Print what the accounting table of this host has counted, as JSON: ``python -m tests.lab.read_accounting``."""

import json
import sys
from contextlib import closing

from natobs.kernel import accounting
from natobs.kernel.live import LiveMachine


def main() -> None:
    with closing(LiveMachine()) as machine:
        counters = accounting.read_counters(machine)
        elements = {name: accounting.read_elements(machine, name) for name in ("attempts", "answers", "hosts")}
    keyed: dict[str, dict[str, int]] = {"hosts": {accounting.host_of(key): n for key, _bytes, n in elements["hosts"]}}
    for name in ("attempts", "answers"):
        keyed[name] = {}
        for key, _octets, packets in elements[name]:
            place = accounting.destination_of(key)
            keyed[name][f"{place.address} {place.protocol} {place.port}"] = packets
    json.dump({"counters": counters, **keyed}, sys.stdout)


if __name__ == "__main__":
    main()
