"""A series as a small picture: SVG, without a library and without a script.

Knows points and a threshold; refuses to know what they mean.
"""

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT, _MARGIN = 360, 72, 4


def svg(
    points: Sequence[tuple[float, float]], threshold: float | None, marks: Sequence[tuple[float, str]], title: str
) -> str:
    """Draw a series with its threshold, and a line at each moment that matters.

    Args:
        points: pairs of seconds and value, the earliest first.
        threshold: drawn as a level line; None for none.
        marks: pairs of seconds and the class of the line.
        title: what a reader hears, or sees when pointing at it.
    """
    if not points:
        return ""
    times = [at for at, _ in points] + [at for at, _ in marks]
    values = [value for _, value in points] + ([] if threshold is None else [threshold])
    left, right, low, high = min(times), max(times), min(0.0, *values), max(values)
    across, up = max(right - left, 1e-9), max(high - low, 1e-9)

    def x(at: float) -> str:
        return f"{_MARGIN + (at - left) / across * (_WIDTH - 2 * _MARGIN):.1f}"

    def y(value: float) -> str:
        return f"{_HEIGHT - _MARGIN - (value - low) / up * (_HEIGHT - 2 * _MARGIN):.1f}"

    lines = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{escape(title)}</title>']
    lines += [f'<line class="{escape(kind)}" x1="{x(at)}" x2="{x(at)}" y1="0" y2="{_HEIGHT}"/>' for at, kind in marks]
    if threshold is not None:
        lines.append(f'<line class="limit" x1="0" x2="{_WIDTH}" y1="{y(threshold)}" y2="{y(threshold)}"/>')
    lines.append(f'<polyline points="{" ".join(f"{x(at)},{y(value)}" for at, value in points)}"/></svg>')
    return "".join(lines)
