"""Several things at once."""

from natobs.lab.faults.base import Evidence, Fault
from natobs.lab.faults.cpu import CpuNeighbour, refuse_busy
from natobs.lab.faults.table import TableFull


class TableFullAndCpu(Fault):
    """F1 and F2."""

    name = "table-full-and-cpu"
    mode = "F1"
    title = "Translation table full on a NAT without CPU"
    sentence = "The table is full of answered connections, and a neighbour keeps every CPU busy."
    programs = TableFull.programs

    def check(self) -> None:
        """Refuse a machine that is busy already."""
        if not self.any_load:
            refuse_busy(self.name)

    def act(self) -> None:
        self.part(TableFull(self.lab))
        self.part(CpuNeighbour(self.lab))

    def evidence(self) -> Evidence:
        return {**TableFull(self.lab).evidence(), **CpuNeighbour(self.lab).evidence()}
