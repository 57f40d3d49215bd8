import socket

import pytest

from natobs.errors import ConfigError
from natobs.exposition.limits import Limits
from natobs.exposition.listen import Address, bind, bound_address, parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9650", Address("127.0.0.1", 9650)),
        ("[::1]:9650", Address("::1", 9650)),
        ("[fe80::1%eth0]:9650", Address("fe80::1%eth0", 9650)),
        (":9650", Address("", 9650)),
        ("nat-1.example:0", Address("nat-1.example", 0)),
    ],
)
def test_addresses_are_read_as_go_exporters_read_them_and_written_back(text: str, address: Address) -> None:
    assert parse_listen(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not HOST:PORT"),
        ("9650", "is not HOST:PORT"),
        ("localhost", "is not HOST:PORT"),
        ("localhost:http", "is not HOST:PORT"),
        ("localhost:-1", "is not HOST:PORT"),
        ("::1:9650", r"needs brackets, as in \[::1\]:9650"),
        ("[::1]", "needs brackets"),
        ("[127.0.0.1]:9650", "is not an IPv6 address"),
        ("localhost:65536", "port 65536 is above 65535"),
        (f"{'a' * 64}:9650", "is not a host name"),
    ],
)
def test_what_is_no_address_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_listen(text)


def test_accepted_sockets_inherit_the_bounds_of_kernel_memory() -> None:
    limits = Limits(send_buffer=32 * 1024, receive_buffer=16 * 1024)
    (listener,) = bind([Address("127.0.0.1", 0)], limits)
    with listener, socket.create_connection(bound_address(listener)):
        client, _ = listener.accept()
        with client:
            # Linux doubles what it is asked for, to have room for its own book-keeping (socket(7)).
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * limits.send_buffer
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * limits.receive_buffer
