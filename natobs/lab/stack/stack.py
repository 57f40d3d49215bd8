"""Runs a stack in a lab that stands: writes the files, starts the parts in order, and waits until each answers.

Knows which program is told what; refuses to know which rules are loaded and what
is done to the NAT meanwhile. All files, the time-series database too, lie in the
lab's own /run and vanish with it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

from natobs.errors import LabError
from natobs.lab import launch
from natobs.lab.lab import Host, Lab
from natobs.lab.relay import LOOPBACK, Way, listening
from natobs.lab.stack import files, pager
from natobs.lab.stack.api import Alertmanager, Prometheus, answers
from natobs.lab.stack.part import Part
from natobs.lab.stack.plan import ALERTMANAGER_PORT, PAGER_PORT, PROMETHEUS_PORT, StackPlan

PROGRAMS = ("prometheus", "prometheus-alertmanager")
"""What has to be on PATH besides what every lab needs."""

PROMETHEUS, ALERTMANAGER = "Prometheus", "Alertmanager"
"""Keys of a stack's URLs; others are the targets' values of the label ``instance``."""

_READY_SECONDS = 30.0
_WITHIN = Path("/run/stack")
"""Where the files of a stack lie, as its programs see it."""

KEPT = _WITHIN / "kept"
"""Where agents keep what outlives their restart, likewise."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a stack is given from outside.

    Args:
        rules: rule files of Prometheus by name, as text.
        alertmanager: configuration of Alertmanager; it has to name :data:`~natobs.lab.stack.plan.PAGER_URL`.
        ports: of the real loopback that each URL should have, the best first; any for what is not named.
    """

    rules: Mapping[str, str] = field(default_factory=dict)
    alertmanager: str = files.ALERTMANAGER
    ports: Mapping[str, Sequence[int]] = field(default_factory=dict)


class Stack:
    """A stack that runs.

    Args:
        plan: what it consists of.
        lab: what it runs in.
        inputs: what it was given.
    """

    def __init__(self, plan: StackPlan, lab: Lab, inputs: Inputs) -> None:
        self.plan = plan
        self.lab = lab
        self.parts: dict[str, Part] = {}
        self.urls: dict[str, str] = {}
        self._inputs = inputs
        self._files = lab.scratch / _WITHIN.name

    @property
    def prometheus(self) -> Prometheus:
        """Its Prometheus."""
        return Prometheus(self.urls[PROMETHEUS])

    @property
    def alertmanager(self) -> Alertmanager:
        """Its Alertmanager."""
        return Alertmanager(self.urls[ALERTMANAGER])

    def pages(self) -> list[pager.Page]:
        """Give what has reached the pager, the oldest first."""
        return pager.pages((self._files / "pages.jsonl").read_bytes())

    def check(self) -> None:
        """Raise LabError when a part has ended that nobody here ended."""
        for part in self.parts.values():
            part.check()

    def await_scrapes(self, number: int = 1, seconds: float = 60.0) -> None:
        """Wait until every target has been scraped so many times.

        Raises:
            LabError: one was not in time; the message names it.
        """
        expression = f"count_over_time(up[1h]) >= {number} and up == 1"
        deadline = time.monotonic() + seconds
        wanted = {(target.job, dict(target.labels)["instance"]) for target in self.plan.targets()}
        while missing := wanted - {(s.labels["job"], s.labels["instance"]) for s in self.prometheus.query(expression)}:
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"not scraped within {seconds:.0f} s: {', '.join(sorted(n for _, n in missing))}")
            time.sleep(0.1)

    def start(self) -> None:
        """Start everything: what is watched first, so that the database begins with targets that answer.

        Raises:
            LabError: a part did not become ready; the message has its last words.
        """
        (self._files / "logs").mkdir(parents=True)
        (self._files / KEPT.name).mkdir(exist_ok=True)
        self.write("pages.jsonl", "")
        for world, lab in enumerate(self.lab.worlds):
            self._internet(world, lab)
        self._watchers()
        for world, lab in enumerate(self.lab.worlds):
            self._nat(world, lab)
            self._clients(world, lab)
        self._relay()
        self.await_answers()
        self._prometheus()

    def await_answers(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until Alertmanager and every target answer that they are ready; raises LabError."""
        deadline = time.monotonic() + seconds
        waiting = {name: "-/ready" if name == ALERTMANAGER else "readyz" for name in self.urls if name != PROMETHEUS}
        while waiting := {n: path for n, path in waiting.items() if not answers(f"{self.urls[n]}{path}")}:
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"not ready within {seconds:.0f} s: {', '.join(waiting)}")
            time.sleep(0.05)

    def _internet(self, world: int, lab: Lab) -> None:
        host, nat = lab.host("internet"), self.plan.nat(world)
        addresses = [address for family in lab.topology.families for address in lab.topology.server_addresses(family)]
        self._start(f"servers {nat}", host, host.python("natobs.lab.servers", *addresses))
        self._start(f"reflector {nat}", host, host.python("natobs", "reflector", "--log-level", "warning"))

    def _nat(self, world: int, lab: Lab) -> None:
        host, nat = lab.host("nat"), self.plan.nat(world)
        kept = str(KEPT / nat)
        config = self.write(f"{nat}.toml", files.agent_file(lab.topology, self.plan.timing, kept))
        host.run(host.python("natobs", "accounting", "install", "--config", config))
        self._start(f"agent {nat}", host, host.python("natobs", "agent", "--config", config))

    def _clients(self, world: int, lab: Lab) -> None:
        nat, topology, plan = self.plan.nat(world), lab.topology, self.plan
        for client in plan.probers(topology):
            text = files.probe_file(topology, topology.client_subnet(client), plan.timing)
            config = self.write(f"{nat}-{client}.toml", text)
            host = lab.host(client)
            self._start(f"prober {nat}-{client}", host, host.python("natobs", "probe", "--config", config))
        servers = [address for family in topology.families for address in topology.server_addresses(family)]
        self.parts[f"servers {nat}"].await_word("ready", _READY_SECONDS)
        for client in plan.users(topology):
            host = lab.host(client)
            # nobody is dead: of ordinary connections a hundredth may fail before an objective burns
            arguments = ("--quiet", str(plan.rate), "-", *servers)
            self._start(f"users {nat}-{client}", host, host.python("natobs.lab.users", *arguments))

    def _watchers(self) -> None:
        host = self.lab.host("monitor")
        pages = str(_WITHIN / "pages.jsonl")
        self._start("pager", host, host.python("natobs.lab.stack.pager", str(PAGER_PORT), pages))
        config = self.write("alertmanager.yml", self._inputs.alertmanager)
        options = (
            f"--config.file={config}",
            f"--storage.path={_WITHIN / 'alertmanager'}",
            f"--web.listen-address={LOOPBACK}:{ALERTMANAGER_PORT}",
            "--cluster.listen-address=",  # one alone: no gossip with others
            "--log.level=warn",
        )
        self._start(ALERTMANAGER, host, ["prometheus-alertmanager", *options])
        self.parts["pager"].await_word("ready", _READY_SECONDS)

    def _prometheus(self) -> None:
        host, timing = self.lab.host("monitor"), self.plan.timing
        rules = [self.write(f"rules/{name}", text) for name, text in self._inputs.rules.items()]
        config = self.write("prometheus.yml", files.prometheus_file(self.plan, rules))
        options = (
            f"--config.file={config}",
            f"--storage.tsdb.path={_WITHIN / 'prometheus'}",
            f"--web.listen-address={LOOPBACK}:{PROMETHEUS_PORT}",
            # what is kept lies in memory: short blocks keep the log of what is not yet in one short, too
            "--storage.tsdb.min-block-duration=15m",
            "--storage.tsdb.max-block-duration=2h",
            "--storage.tsdb.retention.size=256MB",
            f"--query.lookback-delta={timing.lookback * 1000:.0f}ms",
            f"--rules.alert.resend-delay={timing.resend * 1000:.0f}ms",
            "--log.level=warn",
        )
        self._start(PROMETHEUS, host, ["prometheus", *options])
        deadline = time.monotonic() + _READY_SECONDS
        while not self.prometheus.ready():
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"{PROMETHEUS} was not ready within {_READY_SECONDS:.0f} s")
            time.sleep(0.05)

    def _relay(self) -> None:
        """Lead from the monitor to each target, and from the real loopback to everything that has a page."""
        host = self.lab.host("monitor")
        shown = {PROMETHEUS: Way(PROMETHEUS_PORT), ALERTMANAGER: Way(ALERTMANAGER_PORT)}
        for target, way in zip(self.plan.targets(), self.plan.ways(), strict=True):
            if target not in self.plan.extra:
                shown[dict(target.labels)["instance"]] = Way(target.port, namespace=way.namespace)
        with ExitStack() as sockets:
            made: dict[str, socket] = {
                name: sockets.enter_context(listening(self._inputs.ports.get(name, (0,)), f"port for {name}"))
                for name in shown
            }
            self.urls = {name: f"http://{LOOPBACK}:{found.getsockname()[1]}/" for name, found in made.items()}
            outside = (Way(way.port, made[name].fileno(), 0, way.namespace) for name, way in shown.items())
            ways = map(str, (*self.plan.ways(), *outside))
            descriptors = tuple(found.fileno() for found in made.values())
            self._start("relay", host, host.python("natobs.lab.relay", *ways), descriptors)
        self.parts["relay"].await_word("ready", _READY_SECONDS)

    def _start(self, name: str, host: Host, argv: list[str], pass_fds: tuple[int, ...] = ()) -> None:
        log = self._files / "logs" / f"{name.replace(' ', '-')}.log"
        self.parts[name] = Part(name, host, argv, log)
        self.parts[name].start(pass_fds)

    def write(self, name: str, text: str) -> str:
        """Write a file of the stack; give its path as programs of the lab see it."""
        path = self._files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return str(_WITHIN / name)


def require() -> None:
    """Check that what a stack needs is installed; raises LabError, which names package and program."""
    launch.require(*PROGRAMS)


@contextmanager
def running(plan: StackPlan, inputs: Inputs | None = None) -> Iterator[Stack]:
    """Run a stack in a lab of its own while the block runs.

    Raises:
        LabError: a program is missing, or a part did not become ready.
    """
    require()
    with Lab(*plan.topologies) as lab:
        stack = Stack(plan, lab, inputs or Inputs())
        stack.start()
        yield stack


def release(stack: Stack) -> None:
    """Let the parts run on as long as their lab stands, after this process has ended."""
    for part in stack.parts.values():
        part.process.release()
