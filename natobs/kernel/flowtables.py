"""Flowtables of nftables: where established flows go past most of the kernel, or past all of it.

Flows in a flowtable with the flag ``offload`` are forwarded by the NIC: no
counter, no tap and no conntrack sees their packets. Software flowtables begin
at the ingress hook, after packet sockets were served, and end in
dev_queue_xmit, so taps see their packets.

Sources: NFT_MSG_GETFLOWTABLE (net/netfilter/nf_tables_api.c), Linux 4.16;
include/uapi/linux/netfilter/nf_tables.h. Needs CAP_NET_ADMIN.
"""

from dataclasses import dataclass

from natobs.kernel import netlink
from natobs.kernel.machine import Machine, Netlink
from natobs.kernel.nft_rules import NFGENMSG, NFTABLES

FLOWTABLES = Netlink("nft-flowtables", netlink.NETLINK_NETFILTER, NFTABLES | 23, NFGENMSG.pack(0, 0, 0))
_NEWFLOWTABLE = NFTABLES | 22
_FLAGS = 7  # NFTA_FLOWTABLE_FLAGS, Linux 5.8
_HW_OFFLOAD = 0x1


@dataclass(frozen=True, slots=True)
class Flowtables:
    """How many there are, in software and offloaded to hardware."""

    software: int
    hardware: int


def read(machine: Machine) -> Flowtables:
    """Count the flowtables.

    Raises:
        UnavailableError: no nf_tables, no flowtables in it, or no privilege.
        FormatError: the answer is not what the kernel documents.
    """
    return parse(machine.ask(FLOWTABLES))


def parse(data: bytes) -> Flowtables:
    """Decode ``NFT_MSG_NEWFLOWTABLE``; raises FormatError."""
    hardware = [
        _FLAGS in found and bool(netlink.number(found[_FLAGS], ">") & _HW_OFFLOAD)
        for found in (netlink.attributes(body, NFGENMSG.size) for body in netlink.messages(data, _NEWFLOWTABLE))
    ]
    return Flowtables(software=hardware.count(False), hardware=hardware.count(True))
