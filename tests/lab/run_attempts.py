"""Make attempts with the real engine and print their outcomes as JSON, for tests that probe from inside a host.

``python -m tests.lab.run_attempts ORDER``; the order is JSON: ``settings`` of the
probe with one target or several, or a list of such probes, ``count`` of rounds, one after the other; all
targets of a round are begun together, ``pause`` seconds after the round before. With ``stall``, the engine stands still
for so many seconds after it has begun a round and taken ``turns`` turns. Prints ``attempts``, ``capabilities``,
``cpu_seconds``, for how long the machine ``kept`` it from a CPU, and what the probers noticed. With ``ask``, it is
the responder that makes them.
"""

import json
import resource
import sys
import time
from pathlib import Path

import msgspec

from natobs.config import Prefix
from natobs.probe_config import ProbeSettings, split_target
from natobs.probes.asker import Asker
from natobs.probes.engine import Engine
from natobs.probes.environment import Environment
from natobs.probes.model import Attempt, Target
from natobs.probes.plan import Plan
from natobs.probes.registry import Kinds
from natobs.probes.resolve import Resolver
from tests.probing import Noted
from tests.scripted import kept


def prefix(kind: type, value: object) -> object:
    assert kind is Prefix
    return Prefix(str(value))


def capabilities() -> str:
    """What this process may do beside its own, in hexadecimal (proc_pid_status(5))."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(line.split()[1] for line in lines if line.startswith("CapEff:"))


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    order = json.loads(sys.argv[1])
    given = order["settings"] if isinstance(order["settings"], list) else [order["settings"]]
    kinds, probes = Kinds(), msgspec.convert(given, list[ProbeSettings], dec_hook=prefix)
    resolver = Resolver(60)
    noted = Noted()
    environment = Environment(resolver, noted)
    targets = [
        Target(probe, *split_target(text, kinds(probe.kind).default_port)) for probe in probes for text in probe.targets
    ]
    attempts: list[Attempt] = []
    opening = Asker if order.get("ask") else lambda target, given: kinds(target.settings.kind).open(target, given)
    probers = [opening(target, environment) for target in targets]
    engine = Engine(targets, probers, Plan([], 1, 0), attempts.append)
    before, cpu = time.monotonic(), time.process_time()
    with kept() as late:
        for done in range(order["count"]):
            for index in range(len(targets)):
                engine.begin(index)
            for _turn in range(order.get("turns", 0)):
                engine.turn(1.0)
            time.sleep(order.get("stall", 0))
            while len(attempts) < (done + 1) * len(targets):
                engine.turn(1.0)
            time.sleep(order.get("pause", 0))
        spent = {"seconds": time.monotonic() - before, "cpu_seconds": time.process_time() - cpu, "kept": late()}
    engine.close()
    resolver.close()
    told = [
        {
            "probe": attempt.target.settings.name,
            "kind": attempt.target.settings.kind,
            "target": attempt.target.name,
            "reason": attempt.outcome.reason and attempt.outcome.reason.value,
            "detail": attempt.outcome.detail,
            "seconds": attempt.seconds,
            "rtt": attempt.outcome.rtt,
            "clock": attempt.outcome.clock and attempt.outcome.clock.value,
            "path_mtu": attempt.outcome.path_mtu,
            "path_state": attempt.outcome.path_state and attempt.outcome.path_state.value,
            "icmp_mtu": attempt.outcome.icmp and attempt.outcome.icmp.mtu,
            "phases": attempt.outcome.phases,
            "syn_retransmits": attempt.outcome.syn_retransmits,
            "observed": attempt.outcome.observed,
            "certificate_expiry": attempt.outcome.certificate_expiry,
            "icmp": attempt.outcome.icmp
            and [attempt.outcome.icmp.type, attempt.outcome.icmp.code, attempt.outcome.icmp.sender],
        }
        for attempt in attempts
    ]
    notices = {"lates": noted.lates, "clock_rejects": noted.rejects, "addresses": noted.addresses}
    sys.stdout.write(json.dumps({"attempts": told, "capabilities": capabilities(), **spent, **notices}))


if __name__ == "__main__":
    main()
