from natobs.exposition.exposure import public_listeners
from natobs.exposition.listen import Address
from natobs.kernel.live import LiveMachine
from tests.fakes import FakeMachine

EVERY = "0.0.0.0"  # noqa: S104 - nothing is bound here


def warned(*hosts: str) -> dict[str, str]:
    return {address.host: why for address, why in public_listeners(FakeMachine(), [Address(h, 1) for h in hosts])}


def test_what_is_for_everybody_is_warned_of() -> None:
    warnings = warned("127.0.0.1", "::1", EVERY, "::", "8.8.8.8", "10.0.0.1")
    assert set(warnings) == {EVERY, "::", "8.8.8.8"}
    assert "every interface" in warnings["::"]
    assert "public address" in warnings["8.8.8.8"]


def test_the_live_machine_can_be_asked() -> None:
    machine = LiveMachine()
    unused = Address("10.255.255.254", 1)
    assert list(public_listeners(machine, [unused])) == []
    machine.close()
