"""The responder as a part of the agent: on and off, by configuration and reload, and what a scrape shows of it."""

from collections.abc import Callable

import pytest

from natobs.config import Config, parse
from natobs.errors import ConfigError
from natobs.exposition.agent import Agent
from natobs.probes import responder
from natobs.probes.model import Reason
from tests.loopback import eventually
from tests.probing import udp_server
from tests.responding import HERE, ask, reflect
from tests.test_agent import LISTEN, get, nat_machine, serving, value

ON = LISTEN + (
    '[responder]\nlisten = ["127.0.0.1:0"]\nallow = ["127.0.0.0/8"]\ntargets = ["127.0.0.0/8"]\n'
    "rate = 100\nsource_rate = 100\n"
)


def loading(text: list[str]) -> Callable[[], Config]:
    """The configuration as the list has it at the time."""
    return lambda: parse(text[0], "natobs.toml")


def requests(url: str, result: str) -> float | None:
    return value(get(f"{url}/metrics")[0], "natobs_responder_requests_total", result=result)


def where(agent: Agent) -> tuple[str, int]:
    (address,) = agent._responding.addresses
    return address


def test_it_is_off_by_default_and_then_shows_nothing() -> None:
    with serving(nat_machine(), loading([LISTEN])) as (agent, url):
        assert agent._responding.addresses == []
        assert "natobs_responder" not in get(f"{url}/metrics")[0]


def test_a_scrape_shows_what_it_did() -> None:
    with udp_server(reflect) as port, serving(nat_machine(), loading([ON])) as (agent, url):
        assert value(get(f"{url}/metrics")[0], "natobs_responder_up") == 1
        assert ask(where(agent), HERE, port).success
        assert ask(where(agent), "198.51.100.1", port).reason is Reason.REFUSED
        assert eventually(lambda: requests(url, "measured") == 1)
        assert [requests(url, result) for result in ("failed", "refused", "busy", "ignored")] == [0, 1, 0, 0]


def test_a_reload_switches_it_on_and_off_and_keeps_what_was_counted() -> None:
    text = [LISTEN]
    with udp_server(reflect) as port, serving(nat_machine(), loading(text)) as (agent, url):
        text[0] = ON
        agent.reload()
        first = where(agent)
        assert ask(first, HERE, port).success
        agent.reload()  # the same again
        assert where(agent) == first
        text[0] = ON.replace("rate = 100", "rate = 99")
        agent.reload()
        assert ask(where(agent), HERE, port).success
        assert eventually(lambda: requests(url, "measured") == 2)
        text[0] = LISTEN
        agent.reload()
        assert ask(first, HERE, port).reason is Reason.REFUSED
        assert requests(url, "measured") is None


def test_a_scrape_in_the_middle_of_a_reload_misses_no_series(monkeypatch: pytest.MonkeyPatch) -> None:
    text, seen, start = [ON], list[dict[str, object]](), responder.Responder.start
    with serving(nat_machine(), loading(text)) as (agent, url):

        def scraping(starting: responder.Responder) -> None:
            seen.append({sample.metric.name: sample.value for sample in agent._responding.samples()})
            start(starting)

        monkeypatch.setattr(responder.Responder, "start", scraping)
        text[0] = ON.replace("rate = 100", "rate = 99")
        agent.reload()
        assert value(get(f"{url}/metrics")[0], "natobs_responder_up") == 1
    assert seen == [{"natobs_responder_requests_total": 0, "natobs_responder_up": False}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('allow = ["127.0.0.0/8"]', "allow = []"), "responder.allow: nobody may ask"),
        (('targets = ["127.0.0.0/8"]', "targets = []"), "responder.targets: nothing may be probed"),
        (('["127.0.0.1:0"]\nallow', '["0.0.0.0:0"]\nallow'), "name the inside address"),
        (('["127.0.0.1:0"]\nallow', '["203.0.113.10:0"]\nallow'), "not within nat.inside"),
        (("source_rate = 100", "source_rate = 0"), "responder.source_rate"),
    ],
)
def test_a_wrong_configuration_is_refused_and_changes_nothing(change: tuple[str, str], said: str) -> None:
    wrong, text = ON.replace(*change), [ON]
    assert wrong != ON
    with pytest.raises(ConfigError, match=said):
        Agent(nat_machine(), loading([wrong]))
    with udp_server(reflect) as port, serving(nat_machine(), loading(text)) as (agent, url):
        before, text[0] = where(agent), wrong
        with pytest.raises(ConfigError, match=said):
            agent.reload()
        assert ask(before, HERE, port).success
        assert value(get(f"{url}/metrics")[0], "natobs_responder_up") == 1
