"""Messages of rtnetlink, written by pyroute2: an encoder that shares nothing with the parsers under test."""

from ipaddress import ip_address
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # type: ignore[import-untyped]  # pyroute2 has no types
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # type: ignore[import-untyped]  # pyroute2 has no types
from pyroute2.netlink.rtnl.rtmsg import rtmsg  # type: ignore[import-untyped]  # pyroute2 has no types

V4, V6 = 2, 10
UP, LOOPBACK, LOWER_UP = 0x1, 0x8, 0x10000
MAIN, LOCAL = 254, 255
UNICAST, BLACKHOLE, UNREACHABLE = 1, 6, 7
DEAD, LINKDOWN, CLONED = 1, 16, 0x200
REPLACE = 0x100


def _encode(message: Any, kind: int, attributes: list[tuple[str, object]], flags: int, fields: dict[str, int]) -> bytes:  # noqa: ANN401  pyroute2 has no types
    message.update(fields)
    message["attrs"] = attributes
    message["header"] = {"type": kind, "flags": flags}
    message.encode()
    return bytes(message.data)


def link(index: int, name: str, flags: int = UP | LOWER_UP, *, removed: bool = False, family: int = 0) -> bytes:
    fields = {"index": index, "flags": flags, "family": family}
    return _encode(ifinfmsg(), 17 if removed else 16, [("IFLA_IFNAME", name), ("IFLA_MTU", 1500)], 0, fields)


def address(device: int, text: str, *, scope: int = 0, removed: bool = False, peer: str = "") -> bytes:
    """Encode an address as ``10.0.0.1/24``; peer is the far end of a point-to-point link."""
    near, _slash, length = text.partition("/")
    family = V4 if ip_address(near).version == 4 else V6
    attributes: list[tuple[str, object]] = [("IFA_ADDRESS", peer or near)]
    attributes += [("IFA_LOCAL", near)] if peer or family == V4 else []
    attributes.append(("IFA_CACHEINFO", {"ifa_preferred": 0, "ifa_valid": 0, "cstamp": 1, "tstamp": 2}))
    fields = {"family": family, "prefixlen": int(length), "scope": scope, "index": device}
    return _encode(ifaddrmsg(), 21 if removed else 20, attributes, 0, fields)


def route(  # noqa: PLR0913  each is a field of the message
    via: str,
    device: int,
    *more: tuple[str, int, int],
    to: str = "default",
    family: int = V4,
    metric: int = 0,
    table: int = MAIN,
    kind: int = UNICAST,
    flags: int = 0,
    removed: bool = False,
    replaced: bool = False,
    order: int = 1,
) -> bytes:
    """Encode a route; further ways are (gateway, device, flags), ``order=-1`` turns the attributes round."""
    target, _slash, length = to.partition("/")
    if to != "default":
        family = V4 if ip_address(target).version == 4 else V6
    attributes: list[tuple[str, object]] = [("RTA_TABLE", table)]
    if to != "default":
        attributes.append(("RTA_DST", target))
    if metric:
        attributes.append(("RTA_PRIORITY", metric))
    if more:
        ways = [(via, device, flags), *more]
        attributes.append(("RTA_MULTIPATH", [_way(*way) for way in ways]))
        flags = 0
    else:
        attributes += [("RTA_GATEWAY", via)] if via else []
        attributes += [("RTA_OIF", device)] if device else []
    fields = {"family": family, "dst_len": int(length or 0), "type": kind, "flags": flags}
    fields["table"] = table if table < 256 else 252  # RT_TABLE_COMPAT
    return _encode(rtmsg(), 25 if removed else 24, attributes[::order], REPLACE if replaced else 0, fields)


def _way(via: str, device: int, flags: int) -> dict[str, object]:
    return {"oif": device, "flags": flags, "hops": 0, "attrs": [("RTA_GATEWAY", via)] if via else []}


def done() -> bytes:
    """Encode the end of a dump."""
    return b"\x14\0\0\0\x03\0\0\0" + bytes(12)
