"""What a game day found out, as values that are written as JSON and shown in a report.

Times are seconds since the fault began, negative before it. Knows no stack and no lab.
"""

import msgspec


class Notice(msgspec.Struct, frozen=True):
    """One alert that reached somebody, or would have.

    Args:
        alert: its name.
        action: what it asked for.
        labels: that tell what it is about.
        seconds: when it came.
    """

    alert: str
    action: str
    labels: dict[str, str]
    seconds: float


class Expected(msgspec.Struct, frozen=True):
    """An alert that had to arrive, and when each step of its way was taken; None for a step that was not.

    Args:
        alert: its name.
        action: what it asks for.
        labels: that it has to bear.
        metric: the condition held for the first time.
        firing: Prometheus fired.
        notified: it reached the pager.
        resolved: the pager was told that it is over, in seconds since the fault was healed.
        begins: how often it began, at most, in any one place: more than once where it was over in between.
    """

    alert: str
    action: str
    labels: dict[str, str]
    metric: float | None
    firing: float | None
    notified: float | None
    resolved: float | None
    begins: int

    @property
    def missing(self) -> bool:
        """Whether it never arrived."""
        return self.notified is None


class Trace(msgspec.Struct, frozen=True):
    """A series that proves something.

    Args:
        title: the alert whose value it is.
        labels: of the series.
        threshold: beyond which it is trouble; None where there is none.
        points: pairs of seconds and value.
    """

    title: str
    labels: dict[str, str]
    threshold: float | None
    points: list[tuple[float, float]]


class Outcome(msgspec.Struct, frozen=True):
    """What one fault led to.

    Args:
        fault: its name.
        mode: the failure mode that it is an example of, or empty.
        title: in a few words.
        sentence: what was done.
        topology: of the lab.
        time_scale: by how much rules and intervals were shortened.
        limit: seconds after which an alert that had not arrived was missing.
        healed: when it was healed.
        expected: what had to arrive.
        false: what arrived and was not expected.
        budgets: notices and tickets that say how much of an error budget the fault has spent; they wake nobody, and
            are right long after the fault is healed.
        unresolved: names of alerts that were not over at the end.
        peer: what node_exporter's published rules fired.
        evidence: facts of the kernel before, and while the fault lasted.
        traces: the series that show it.
    """

    fault: str
    mode: str
    title: str
    sentence: str
    topology: str
    time_scale: float
    limit: float
    healed: float
    expected: list[Expected]
    false: list[Notice]
    budgets: list[Notice]
    unresolved: list[str]
    peer: list[Notice]
    evidence: dict[str, tuple[float | None, float]]
    traces: list[Trace]

    @property
    def missing(self) -> list[Expected]:
        """What had to arrive and did not."""
        return [one for one in self.expected if one.missing]

    @property
    def again(self) -> list[Expected]:
        """What was over and came again, though the fault was one."""
        return [one for one in self.expected if one.begins > 1]

    @property
    def passed(self) -> bool:
        """Whether exactly what had to arrive did, once, and was over in the end."""
        return not (self.missing or self.again or self.false or self.unresolved)
