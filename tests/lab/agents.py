"""The agent inside a host of the lab, and what a scrape of it says."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from natobs.lab.lab import Host, HostProcess
from natobs.lab.traffic import first_line
from tests.scripted import kept

KEEPALIVE = Path(__file__).with_name("keepalive.py")


class Scrape:
    """The series of one scrape."""

    def __init__(self, text: str) -> None:
        self.series = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """The value of one series; fails when there is none."""
        return self.series[name, frozenset(labels.items())]

    def of(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """Every series of a metric, by labels."""
        return {labels: value for (metric, labels), value in self.series.items() if metric == name}

    def by(self, name: str, label: str) -> dict[str, float]:
        """Every series of a metric, by the value of one label."""
        return {dict(labels)[label]: value for labels, value in self.of(name).items()}


class KeptOpen:
    """Somebody who scrapes over one connection that stays open, from within a host.

    Args:
        host: where.
        port: that is scraped, on loopback.
    """

    pid: int | str = "self"
    """Of who is scraped, where that is known."""

    def __init__(self, host: Host, port: int = 9650) -> None:
        self._client = host.popen(
            [*host.python("natobs")[:1], str(KEEPALIVE), "127.0.0.1", str(port), "/metrics"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def close(self) -> None:
        self._client.close()

    def text(self) -> str:
        """One scrape, as it came."""
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write("again\n")
        self._client.stdin.flush()
        length = first_line(self._client, 20)
        if not length:
            pytest.fail("there was no answer to a scrape")
        return self._client.stdout.read(int(length))

    def scrape(self) -> Scrape:
        """One scrape, parsed."""
        return Scrape(self.text())

    def await_value(self, look: Callable[[Scrape], bool], seconds: float, *, pause: float = 0.05) -> Scrape:
        """Scrape until a condition holds, with a pause between; fails when it does not in time.

        Its time is the seconds, and those for which the machine has kept who is scraped, or this process, from a CPU.
        """
        began = time.monotonic()
        with kept(self.pid) as late, kept() as own:
            while True:
                scrape = self.scrape()
                if look(scrape):
                    return scrape
                if time.monotonic() > began + seconds + late() + own():
                    pytest.fail(f"did not show within {seconds} s")
                time.sleep(pause)


class AgentInLab(KeptOpen):
    """An agent that runs in a host, scraped over one connection that stays open."""

    def __init__(self, process: HostProcess, host: Host, port: int) -> None:
        super().__init__(host, port)
        self.process = process
        self.pid = process.pid


@contextmanager
def agent_in(host: Host, *arguments: str, port: int = 9650, prefix: Sequence[str] = ()) -> Iterator[AgentInLab]:
    """Run an agent in a host while the block runs.

    Args:
        host: where.
        arguments: of ``natobs agent``.
        port: where it listens, on loopback.
        prefix: a program and its arguments that start the agent, for example with fewer rights.
    """
    listen = f"127.0.0.1:{port}"
    agent = host.popen(
        [*prefix, *host.python("natobs", "agent", "--listen", listen, *arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with ExitStack() as ending:
        ending.callback(agent.close)
        said = first_line(agent, 20)
        assert f"listening on {listen}" in said, said
        scraped = AgentInLab(agent, host, port)
        ending.callback(scraped.close)
        yield scraped
