"""``docs/metrics.md``: the whole truth about every metric, from the catalogue."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

from natobs.catalogue import metrics as package
from natobs.catalogue.types import Kind, Label, Metric, Start, metrics_of
from natobs.generate import markdown

_INTRO = """Every metric that natobs exports. Counters end in `_total`; units are base units. A value that could not be
read is absent, never zero: `natobs_collector_unavailable` says why. Names are stable unless marked experimental.
What is marked "since start" was zero when natobs was started; other counters are the kernel's, and began with the host
or with what they count."""


def page() -> str:
    """The text of the page."""
    return markdown.page("Metrics", _INTRO, _sections())


def modules() -> list[ModuleType]:
    """The modules of the catalogue that define metrics, by name."""
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
    return [import_module(f"{package.__name__}.{name}") for name in names]


def _sections() -> Iterator[str]:
    for module in modules():
        yield f"## {module.__name__.rpartition('.')[2].replace('_', ' ').capitalize()}\n"
        yield f"{(module.__doc__ or '').strip().partition(chr(10))[0]}\n"
        metrics = list(metrics_of(module))
        yield markdown.table(["metric", "kind", "labels", "meaning", "read from"], map(_row, metrics))
        yield from (_buckets(metric) for metric in metrics if metric.buckets)


def _row(metric: Metric) -> list[str]:
    stability = "" if metric.stability.value == "stable" else f" ({metric.stability.value})"
    counts = metric.kind in {Kind.COUNTER, Kind.HISTOGRAM}
    since = " since start" if counts and metric.start is Start.PROCESS else ""
    return [
        f"`{metric.name}`",
        metric.kind.value + since + stability,
        "<br>".join(_label(label) for label in metric.labels),
        metric.help,
        metric.source,
    ]


def _label(label: Label) -> str:
    values = ", ".join(f"`{value}`" for value in label.domain) or f"bounded by {label.bound}"
    return f"`{label.name}`: {label.help} ({values})"


def _buckets(metric: Metric) -> str:
    bounds = ", ".join(f"{bound:.7f}".rstrip("0").rstrip(".") for bound in metric.buckets)
    return f"Upper bounds of the buckets of `{metric.name}`: {bounds}, +Inf.\n"
