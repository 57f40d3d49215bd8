import pytest

from natobs.config import Nat, Prefix, Responder
from natobs.errors import ConfigError
from natobs.probes.permission import Permission, permission_of


def permission(*targets: str, allow: tuple[str, ...] = ("10.0.0.0/8",)) -> Permission:
    settings = Responder(
        listen=("10.0.1.1:9653",),
        allow=tuple(map(Prefix, allow)),
        targets=tuple(map(Prefix, targets)),
    )
    return permission_of(settings, Nat())


@pytest.mark.parametrize(
    ("targets", "host", "allowed"),
    [
        (["198.51.100.0/24"], "198.51.100.7", True),
        (["198.51.100.0/24"], "198.51.101.7", False),
        (["0.0.0.0/0"], "198.51.100.7", True),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["::/0"], "2001:db8::1", True),
        (["::/0"], "198.51.100.7", False),
        # what is private or special has to be named as such
        (["0.0.0.0/0"], "10.0.0.5", False),
        (["10.0.0.0/7"], "10.0.0.5", False),
        (["10.0.0.0/8"], "10.0.0.5", True),
        (["0.0.0.0/0", "10.0.0.5/32"], "10.0.0.5", True),
        (["0.0.0.0/0"], "127.0.0.1", False),
        (["0.0.0.0/0"], "0.0.0.1", False),
        (["0.0.0.0/0"], "169.254.169.254", False),
        (["0.0.0.0/0"], "100.100.100.200", False),
        (["0.0.0.0/0"], "192.168.1.1", False),
        (["::/0"], "::1", False),
        (["::/0"], "::ffff:10.0.0.5", False),
        (["::/0"], "64:ff9b::a00:5", False),
        (["::/0"], "2002:a00:5::1", False),
        (["::/0"], "fec0::1", False),
        (["::/0"], "fe80::1", False),
        (["::/0"], "fd00:ec2::254", False),
        (["fd00:ec2::254/128"], "fd00:ec2::254", True),
        # more than one host
        (["0.0.0.0/0", "224.0.0.0/4"], "224.0.0.1", False),
        (["255.255.255.255/32"], "255.255.255.255", False),
        (["::/0", "ff00::/8"], "ff02::1", False),
    ],
)
def test_a_target_is_on_the_list_or_not(targets: list[str], host: str, *, allowed: bool) -> None:
    assert permission(*targets).may_probe(host) is allowed


def test_sources_are_those_of_the_list_alone() -> None:
    given = permission("198.51.100.1/32", allow=("10.0.1.0/24", "fe80::/10"))
    assert given.may_ask("10.0.1.7")
    assert given.may_ask("fe80::1%eth0")
    assert not given.may_ask("10.0.2.7")
    assert not given.may_ask("2001:db8::1")


def test_off_is_off() -> None:
    assert permission_of(Responder(), Nat()).endpoints == ()
    assert not permission_of(Responder(), Nat()).may_probe("198.51.100.1")


@pytest.mark.parametrize(
    ("listen", "endpoint"),
    [
        ("10.0.1.1:9000", ("10.0.1.1", 9000)),
        ("10.0.1.1", ("10.0.1.1", 9653)),
        ("[fd00::1]:9000", ("fd00::1", 9000)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
    ],
)
def test_inside_addresses_are_listened_on(listen: str, endpoint: tuple[str, int]) -> None:
    settings = Responder(listen=(listen,), allow=(Prefix("10.0.0.0/8"),), targets=(Prefix("198.51.100.1/32"),))
    assert permission_of(settings, Nat()).endpoints == (endpoint,)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"allow": ()}, r"responder\.allow: nobody may ask; name the prefixes"),
        ({"targets": ()}, r"responder\.targets: nothing may be probed; name the prefixes"),
        ({"listen": ("0.0.0.0:9653",)}, r"responder\.listen: .* every address .* name the inside address"),
        ({"listen": ("[::]:9653",)}, "every address"),
        ({"listen": (":9653",)}, "expected one such as 10"),
        ({"listen": ("203.0.113.10:9653",)}, r"not within nat\.inside"),
        ({"listen": ("[2001:db8::1]:9653",)}, r"not within nat\.inside"),
        ({"listen": ("nat.example:9653",)}, "is no address"),
        ({"listen": ("10.0.1.1:99999",)}, "is no address"),
        ({"listen": ("10.0.1.1:9653", "10.0.1.1")}, "twice"),
    ],
)
def test_a_configuration_that_would_open_it_to_strangers_is_refused(settings: dict[str, object], said: str) -> None:
    good: dict[str, object] = {
        "listen": ("10.0.1.1:9653",),
        "allow": (Prefix("10.0.0.0/8"),),
        "targets": (Prefix("198.51.100.1/32"),),
    }
    with pytest.raises(ConfigError, match=said):
        permission_of(Responder(**(good | settings)), Nat())  # type: ignore[arg-type]  # fields by name


def test_a_public_prefix_can_be_declared_inside() -> None:
    settings = Responder(
        listen=("[2001:db8:1::1]:9653",), allow=(Prefix("2001:db8:1::/64"),), targets=(Prefix("2001:db8:51::1/128"),)
    )
    given = permission_of(settings, Nat(inside=(Prefix("2001:db8:1::/48"),)))
    assert given.endpoints == (("2001:db8:1::1", 9653),)
