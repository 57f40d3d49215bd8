import contextlib
import socket
import time
from typing import Any

import pytest

from natobs.errors import FormatError
from natobs.probe_config import ProbeSettings
from natobs.probes import icmp as icmp_kind
from natobs.probes.icmp import IcmpKind, IcmpProber
from natobs.probes.model import Clock, Reason
from natobs.probes.stamped import StampedSocket
from natobs.wire import icmp
from natobs.wire.icmp import Echo
from natobs.wire.token import Tokens
from tests.loopback import PATIENCE
from tests.probing import environment, probe, target


def allowed() -> bool:
    """Whether this process may ping at all."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        with contextlib.suppress(PermissionError), socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP):
            return True
    return False


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("size", [0, 1, 8, 12, 1400])
def test_an_echo_returns_or_the_needed_privilege_is_named(address: str, size: int) -> None:
    with environment() as (given, noted):
        prober = IcmpKind().open(target(address, 0, kind="icmp", payload_bytes=size), given)
        began = time.monotonic()
        outcomes = [probe(prober) for _ in range(3)]
        took = time.monotonic() - began
        prober.close()
    for outcome in outcomes:
        if allowed():
            assert (outcome.reason, outcome.clock) == (None, Clock.KERNEL_TXRX)
            assert outcome.rtt is not None
            assert 0 < outcome.rtt < took
        else:
            assert outcome.reason is Reason.LOCAL
            assert "CAP_NET_RAW" in outcome.detail
    assert (noted.lates, noted.rejects) == (0, 0)


def test_without_any_permission_the_outcome_names_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(icmp_kind, "open_socket", refuse)
    with environment() as (given, _noted):
        prober = IcmpKind().open(target("127.0.0.1", 0, kind="icmp"), given)
        outcome = probe(prober)
        prober.close()
    assert outcome.reason is Reason.LOCAL
    assert "net.ipv4.ping_group_range" in outcome.detail
    assert "CAP_NET_RAW" in outcome.detail


class Wire:
    """Stands for the network: a socket pair instead of an ICMP socket, so that answers can be made at will."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.settimeout(PATIENCE)

        def open_socket(_settings: ProbeSettings, family: int, _kind: int, _protocol: int) -> socket.socket:
            return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

        def connected(opened: socket.socket, _address: tuple[str, int]) -> Any:  # noqa: ANN401 - the wrapped class
            return stamped(opened, self.peer.getsockname())

        stamped = StampedSocket
        monkeypatch.setattr(icmp_kind, "open_socket", open_socket)
        monkeypatch.setattr(icmp_kind, "StampedSocket", connected)


def test_only_the_very_echo_is_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch)
    with environment() as (given, noted), wire.peer:
        prober = IcmpKind().open(target("127.0.0.1", 0, kind="icmp"), given)
        steps = prober.attempt(0)
        next(steps)
        request, peer = wire.peer.recvfrom(2048)
        _type, _code, _sum, identifier, high, low = request[0], request[1], 0, request[4:6], request[6], request[7]
        sequence, data = high << 8 | low, request[8:]
        assert (len(data), len(identifier)) == (icmp_kind.DATA_BYTES, 2)
        wrong = [
            request,
            icmp.encode_reply(4, Echo(1, sequence ^ 1, data)),
            icmp.encode_reply(4, Echo(1, sequence, data[:-1])),
            icmp.encode_reply(4, Echo(1, sequence, data + b"x")),
            icmp.encode_reply(4, Echo(1, sequence, data[:12] + b"\xff" + data[13:])),
            b"",
            b"\0" * 7,
        ]
        for message in wrong:
            wire.peer.sendto(message, peer)
            next(steps)  # still waits
        wire.peer.sendto(icmp.encode_reply(4, Echo(1, sequence, data)), peer)
        with pytest.raises(StopIteration) as end:
            next(steps)
        assert end.value.value.success
        prober.close()
    assert noted.lates == 0


def test_raw_sockets_ignore_the_echoes_of_others() -> None:
    with environment() as (given, _noted):
        prober = IcmpProber(target("127.0.0.1", 0, kind="icmp"), given, Tokens())
        prober._raw = True
        data = b"nObs1234" + prober._rest
        header = b"\x45" + bytes(19)
        own = header + icmp.encode_reply(4, Echo(prober._identifier, 3, data))
        assert prober.read(own)[0] == b"\0\3nObs1234"
        for packet in (
            header + icmp.encode_reply(4, Echo(prober._identifier ^ 1, 3, data)),
            own[:-1] + b"\1",  # checksum
            own[20:],
        ):
            with pytest.raises(FormatError):
                prober.read(packet)
        prober.close()
