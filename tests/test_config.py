from pathlib import Path

import pytest

from natobs.config import Config, load, parse
from natobs.errors import ConfigError


def test_without_a_file_everything_has_a_default() -> None:
    config = load(None)
    assert config == parse("", "empty")
    assert config.agent.listen == ("127.0.0.1:9650",)
    assert [str(prefix) for prefix in config.nat.inside][:2] == ["10.0.0.0/8", "172.16.0.0/12"]


def test_a_file_overrides_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "natobs.toml"
    path.write_text("[agent]\nmax_connections = 8\n[links.eth0]\ncapacity_bits_per_second = 5_000_000_000\n", "utf-8")
    config = load(path)
    assert config.agent.max_connections == 8
    assert config.agent.listen == Config().agent.listen
    assert config.links["eth0"].capacity_bits_per_second == 5_000_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "f.toml: x: unknown key; known here: accounting, agent, census, collectors, events, firewall"),
        ("[agent]\nfoo = 1", "f.toml: agent.foo: unknown key; known here: collector_limit_seconds, listen,"),
        ("[links.eth0]\nbar = 1", "f.toml: links[...].bar: unknown key; known here: capacity_bits_per_second"),
        ("[links.eth0]", "f.toml: links[...]: Object missing required field `capacity_bits_per_second`"),
        ('[nat]\ninside = ["10.0.0.1/8"]', "f.toml: nat.inside[0]: 10.0.0.1/8 has host bits set; expected a prefix"),
        ("[nat]\ninside = [4]", "f.toml: nat.inside[0]: Expected `str`, got `int`"),
        ("[agent]\nscrape_limit_seconds = 0", "f.toml: agent.scrape_limit_seconds: Expected `float` >= 0.1"),
        (
            '[accounting.names]\n"10.0.0.1/8" = "x"',
            "f.toml: accounting: 10.0.0.1/8 has host bits set; expected a prefix",
        ),
        ('[accounting.names]\n"10.0.0.1" = ""', "f.toml: accounting.names[...]: Expected `str` of length >= 1"),
        ("[accounting]\nlabel = 127", "f.toml: accounting.label: Expected `int` <= 126"),
        ('[firewall]\nmax_series = "x"', "f.toml: firewall.max_series: Expected `int`, got `str`"),
        ("[agent]\nlisten = []", "f.toml: agent.listen: Expected `array` of length >= 1"),
        ("[census.snat_ports]\nnat = 5", "f.toml: census: 'nat' does not appear to be an IPv4 or IPv6 address"),
        ('[census.snat_ports]\n"2001:DB8:0::1" = 5', "f.toml: census: snat_ports: write 2001:DB8:0::1 as 2001:db8::1"),
        ("[census.tenants.other]", "f.toml: census: tenants: at most 500, and none of them called other"),
        ("[agent\n", "f.toml: Expected ']' at the end of a table declaration (at line 1, column 7)"),
    ],
)
def test_an_error_says_where_and_what_would_do(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.toml")
    assert str(caught.value).startswith(message)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: No such file"):
        load(tmp_path / "missing.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.toml: not UTF-8"):
        load(binary)
