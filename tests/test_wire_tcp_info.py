import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from natobs.wire import tcp_info
from tests.mutate import attempt

FIELDS = [
    "rto",
    "ato",
    "snd_mss",
    "rcv_mss",
    "unacked",
    "sacked",
    "lost",
    "retrans",
    "fackets",
    "last_data_sent",
    "last_ack_sent",
    "last_data_recv",
    "last_ack_recv",
    "pmtu",
    "rcv_ssthresh",
    "rtt",
    "rttvar",
    "snd_ssthresh",
    "snd_cwnd",
    "advmss",
    "reordering",
    "rcv_rtt",
    "rcv_space",
    "total_retrans",
]
"""In the order of include/uapi/linux/tcp.h."""

HEAD = bytes([tcp_info.ESTABLISHED, 1, 3, 0, 0, 7, 0x77, 0])
OLDEST = HEAD + struct.pack("=24I", *range(1000, 1024))
LINUX_4_2 = OLDEST + struct.pack("=4Q", 1, 2, 77_001, 88_002) + struct.pack("=2I", 5, 6)
LINUX_6_12 = LINUX_4_2 + struct.pack("=4I", 0, 4711, 0, 0) + bytes(88)


def test_every_field_has_its_place() -> None:
    info = tcp_info.parse(OLDEST)
    assert (info.state, info.retransmits) == (tcp_info.ESTABLISHED, 3)
    for name in [
        "snd_mss",
        "rcv_mss",
        "unacked",
        "lost",
        "retrans",
        "last_ack_recv",
        "pmtu",
        "rtt",
        "rttvar",
        "advmss",
        "total_retrans",
    ]:
        assert getattr(info, name) == 1000 + FIELDS.index(name), name


def test_what_an_old_kernel_does_not_have_is_none() -> None:
    assert (tcp_info.parse(OLDEST).bytes_acked, tcp_info.parse(OLDEST).min_rtt) == (None, None)
    four = tcp_info.parse(LINUX_4_2)
    assert (four.bytes_acked, four.bytes_received, four.min_rtt) == (77_001, 88_002, None)
    assert tcp_info.parse(LINUX_6_12).min_rtt == 4711


def test_a_longer_structure_of_a_newer_kernel_is_the_same() -> None:
    assert tcp_info.parse(LINUX_6_12 + bytes(200)) == tcp_info.parse(LINUX_6_12)


def test_this_kernel_agrees_on_what_both_ends_know() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
    ):
        accepted, _ = listening.accept()
        with accepted:
            client.sendall(b"x" * 1000)
            assert len(accepted.recv(1000, socket.MSG_WAITALL)) == 1000
            accepted.sendall(b"y")
            assert client.recv(1) == b"y"
            asked = [
                end.getsockopt(socket.IPPROTO_TCP, tcp_info.TCP_INFO, tcp_info.MOST_BYTES) for end in (client, accepted)
            ]
            mss = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    near, far = map(tcp_info.parse, asked)
    assert near.state == far.state == tcp_info.ESTABLISHED
    assert (near.bytes_acked, near.bytes_received, far.bytes_received) == (1001, 1, 1000)  # the SYN counts as one
    assert near.snd_mss == mss
    assert 0 < near.rtt < 1_000_000
    assert near.pmtu == 65535
    assert near.total_retrans == near.unacked == 0


@given(st.binary(max_size=300))
def test_what_a_connect_asks_for_is_the_same_as_in_the_whole(data: bytes) -> None:
    short, whole = attempt(tcp_info.parse_handshake, data), attempt(tcp_info.parse, data)
    assert (short is None) == (whole is None)
    if short is not None and whole is not None:
        assert short == (whole.state, whole.last_ack_recv, whole.rtt, whole.total_retrans)


@given(st.binary(max_size=300))
def test_only_too_few_bytes_are_refused(data: bytes) -> None:
    info = attempt(tcp_info.parse, data)
    assert (info is None) == (len(data) < 104)
    assert info is None or (info.bytes_acked is None) == (len(data) < 136)
    assert info is None or (info.min_rtt is None) == (len(data) < 152)
