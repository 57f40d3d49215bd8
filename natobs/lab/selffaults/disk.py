"""The file system with the state files of the agent, full.

It is a file system of its own, tiny and in memory, mounted in the lab's own mount
namespace before the stack starts (:func:`make_small`).
"""

from natobs.errors import LabError
from natobs.lab import launch
from natobs.lab.lab import Lab
from natobs.lab.selffaults.base import Report, SelfFault
from natobs.lab.selffaults.processes import AGENT
from natobs.lab.selffaults.scene import Scene
from natobs.lab.stack.stack import KEPT

_KILOBYTES = 256
_FILLER = KEPT / "filler"
_UNWRITTEN = 'natobs_collector_unavailable{collector="accounting", reason="error"}'
_ALL_WRITTEN = Report(
    "scrapes that said the state is not kept", f"sum_over_time({_UNWRITTEN}[$window])", least=0, most=0
)
_NO_SPACE = "No space left on device"


def make_small(lab: Lab) -> None:
    """Give the state files of a lab's stack a file system of their own; for a lab in which no stack runs yet.

    Raises:
        LabError: it cannot be mounted.
    """
    options = f"mode=755,size={_KILOBYTES}k"
    launch.within(lab.holder, ["mkdir", "-p", str(KEPT)])
    launch.within(lab.holder, ["mount", "-t", "tmpfs", "-o", options, "natobs-kept", str(KEPT)])


class DiskFull(SelfFault):
    """Neither accounting nor the journal of events can be written."""

    name = "disk-full"
    title = "disk full for the state files"
    sentence = (
        "The file system of accounting.state and operations.json is filled, an event is recorded, and it is emptied."
    )
    lost = "the event, which its command refuses to record"
    reports = (
        _ALL_WRITTEN,
        Report("scrapes without an answer (up 0)", "sum_over_time((1 - up)[$window:1s])", least=0, most=0),
    )
    quick = True

    def act(self, scene: Scene) -> list[str]:
        event = scene.nat.python("natobs", "event", "record", "replace", "--reason", "full", "--state", _journal())
        _fill(scene)
        try:
            refused = scene.nat.run(event, check=False)
            scene.wait(5)
        finally:
            _empty(scene)
        scene.nat.run(event)
        scene.notes.append(f"natobs event record: status {refused.returncode}, {_NO_SPACE}")
        if refused.returncode != 1 or _NO_SPACE not in refused.stderr:
            return [f"natobs event record ended with status {refused.returncode}: {refused.stderr.strip()}"]
        return []


class DiskFullRestart(SelfFault):
    """The agent is killed while its state cannot be kept."""

    name = "disk-full-agent-killed"
    title = "disk full, agent killed (-9)"
    sentence = "The same file system is full when the agent is killed, and still is when it starts again."
    lost = "events and peaks while it was away"
    reports = (
        _ALL_WRITTEN,
        Report("the agent's own counters began anew", "max(resets(natobs_agent_cpu_seconds_total[$window]))"),
    )

    def act(self, scene: Scene) -> list[str]:
        _fill(scene)
        try:
            scene.wait(5)
            scene.kill(AGENT)
            scene.start(AGENT)
            scene.wait(5)
        finally:
            _empty(scene)
        return []


class DiskReadOnly(SelfFault):
    """As a file system becomes after an error: nothing can be kept, and the agent must say so."""

    name = "disk-read-only"
    title = "file system of the state read-only"
    sentence = "The same file system becomes read-only for some scrapes, and writable again."
    lost = "nothing, unless the agent is restarted meanwhile"
    reports = (Report("scrapes that said the state is not kept", f"sum_over_time({_UNWRITTEN}[$window])"),)

    def act(self, scene: Scene) -> list[str]:
        remount = ["mount", "-o"]
        launch.within(scene.stack.lab.holder, [*remount, "remount,ro", str(KEPT)])
        try:
            scene.await_true(f"{_UNWRITTEN} == 1")
        finally:
            launch.within(scene.stack.lab.holder, [*remount, "remount,rw", str(KEPT)])
        scene.await_true(f"absent({_UNWRITTEN})")
        return []


def _journal() -> str:
    return str(KEPT / "nat1.operations.json")


def _fill(scene: Scene) -> None:
    done = scene.nat.run(["dd", "if=/dev/zero", f"of={_FILLER}", "bs=1k"], check=False)
    if _NO_SPACE not in done.stderr:
        raise LabError(f"the file system of {KEPT} is not full: {done.stderr.strip()}")


def _empty(scene: Scene) -> None:
    scene.nat.run(["rm", "-f", str(_FILLER)])
