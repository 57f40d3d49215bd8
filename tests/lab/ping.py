"""Send one echo request of ICMP or ICMPv6 to each address that is named; nobody waits for the answers."""

import socket
import sys

from natobs.wire.icmp import Echo, encode_request


def main() -> None:
    """Send them."""
    for identifier, address in enumerate(sys.argv[1:], 1):
        version, family, protocol = (
            (6, socket.AF_INET6, socket.IPPROTO_ICMPV6) if ":" in address else (4, socket.AF_INET, socket.IPPROTO_ICMP)
        )
        with socket.socket(family, socket.SOCK_RAW, protocol) as sender:
            sender.sendto(encode_request(version, Echo(identifier, 1, b"natobs")), (address, 0))


if __name__ == "__main__":
    main()
