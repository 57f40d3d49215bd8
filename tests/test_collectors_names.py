"""Names of services: the longest prefix wins, and looking one up costs no more where there are many."""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from natobs.collectors.names import ServiceNames
from tests.effort import effort

ADDRESSES = st.one_of(
    st.builds("10.0.{}.{}".format, st.integers(0, 3), st.integers(0, 7)),
    st.builds("fd00::{:x}:{:x}".format, st.integers(0, 3), st.integers(0, 7)),
)


@st.composite
def prefixes(draw: st.DrawFn) -> str:
    address = draw(ADDRESSES)
    length = draw(st.integers(0, ip_address(address).max_prefixlen))
    return str(ip_network(f"{address}/{length}", strict=False))


@given(st.dictionaries(prefixes(), st.sampled_from("abcdef"), max_size=12), ADDRESSES)
def test_the_longest_prefix_that_holds_an_address_names_it(names: dict[str, str], address: str) -> None:
    holding = [prefix for prefix in names if ip_address(address) in ip_network(prefix)]
    wanted = names[max(holding, key=lambda prefix: ip_network(prefix).prefixlen)] if holding else address
    assert ServiceNames(names).of(address) == wanted


def test_an_address_is_a_prefix_of_its_own() -> None:
    names = ServiceNames({"198.51.100.7": "shop", "198.51.100.0/24": "others", "2001:db8::1": "shop"})
    assert [names.of(address) for address in ("198.51.100.7", "198.51.100.8", "2001:db8::1")] == [
        "shop",
        "others",
        "shop",
    ]


def test_a_thousand_names_cost_no_more_than_one() -> None:
    one = ServiceNames({"20.0.0.0/24": "service"})
    thousand = ServiceNames({f"20.{number >> 8}.{number & 255}.0/24": "service" for number in range(1000)})
    (_name, few), (_same, many) = effort(lambda: one.of("100.64.0.1")), effort(lambda: thousand.of("100.64.0.1"))
    assert 0 < many <= few
