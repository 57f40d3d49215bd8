"""Every rule of this machine that translates sources, of all three backends."""

from natobs.errors import KernelError
from natobs.kernel import nft_nat, xt_nat, xtables
from natobs.kernel.machine import Machine, Xtables
from natobs.kernel.nat_rules import NatRule


def read(machine: Machine) -> list[NatRule]:
    """The rules that translate sources, in the order of each chain.

    A backend that cannot be read is left out if it is not there.

    Raises:
        KernelError: one of them is there and could not be read, so that nothing can be said of any range.
    """
    rules: list[NatRule] = []
    try:
        rules += nft_nat.read(machine)
    except KernelError as error:
        if error.reason not in ("absent", "unsupported"):
            raise
    for ipv6 in (False, True):
        try:
            if "nat" in xtables.parse_names(machine.ask(xtables.NAMES[ipv6])):
                rules += xt_nat.parse_table(machine.ask(Xtables(ipv6, "nat")), ipv6=ipv6)
        except KernelError as error:
            if error.reason not in ("absent", "unsupported"):
                raise
    return rules
