"""Take a census of the namespace that this runs in; prints it as JSON. A test says what happens meanwhile.

Arguments: a command to run after the first block (or an empty string), bytes of a block, inside prefixes.
"""

import subprocess
import sys
from ipaddress import ip_network

import msgspec

from natobs.kernel.flow_aggregate import Scope
from natobs.kernel.flow_census import Limits, take
from natobs.kernel.live import LiveMachine


def main() -> None:
    """Take it."""
    command, block_bytes, *inside = sys.argv[1:]
    seen: list[int] = []

    def after_a_block(flows: int) -> None:
        if command and not seen:
            subprocess.run(command.split(), check=True, capture_output=True)
        seen.append(flows)

    scope = Scope(tuple(ip_network(prefix) for prefix in inside), listed=100_000)
    census = take(LiveMachine(), scope, Limits(block_bytes=int(block_bytes)), progress=after_a_block)
    sys.stdout.buffer.write(msgspec.json.encode(census))


if __name__ == "__main__":
    main()
