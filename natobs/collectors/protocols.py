"""The protocol counters of this network namespace that matter to a NAT.

Which they are is the catalogue's business; which the kernel has is the kernel's.
A field of the catalogue that this kernel lacks is no sample.
"""

from collections.abc import Mapping

from natobs.catalogue.metrics import protocols, protocols6
from natobs.catalogue.types import Metric, Sample
from natobs.collectors.base import Reading
from natobs.kernel import snmp
from natobs.kernel.machine import Machine

_WANTED = frozenset(protocols.OF_FIELD)
_WANTED6 = frozenset(protocols6.OF_FIELD)


class ProtocolsCollector:
    """One counter a field, from three files of which any may be missing."""

    name = "protocols"
    metrics = (*protocols.OF_FIELD.values(), *protocols6.OF_FIELD.values())

    def collect(self, machine: Machine) -> Reading:
        """Read the files, and pick."""
        reading = Reading()
        with reading.part():
            reading.samples += _samples(protocols.OF_FIELD, snmp.read_snmp(machine, _WANTED))
        with reading.part():
            reading.samples += _samples(protocols.OF_FIELD, snmp.read_netstat(machine, _WANTED))
        with reading.part():
            reading.samples += _samples(protocols6.OF_FIELD, snmp.read_snmp6(machine, _WANTED6))
        return reading


def _samples(metrics: Mapping[str, Metric], fields: snmp.Fields) -> list[Sample]:
    # Not through Metric.sample: none has a label that could be wrong.
    return [Sample(metrics[field], (), value) for field, value in fields.items()]
