"""Numbers as a person reads them at a glance: three significant digits and a unit.

Knows base units and nothing of metrics.
"""

import math

_DECIMAL = ("", "k", "M", "G", "T", "P", "E")
_MINUTE = 60
_THOUSAND = 1000
_ROUNDS_UP = 999.5
"""From here on three digits would read 1000."""
_SPANS = ((86_400, "d"), (3_600, "h"), (_MINUTE, "min"), (1, "s"))
_SMALL = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def amount(value: float, unit: str = "") -> str:
    """A value with its unit, for example ``12.3 kB``, ``4.5 ms`` or ``87 %``.

    Args:
        value: in the base unit.
        unit: ``bytes``, ``seconds``, ``ratio``, or empty for a plain count.
    """
    if math.isnan(value) or math.isinf(value):
        return str(value)
    if unit == "ratio":
        return f"{value * 100:.1f} %"
    if unit == "seconds":
        return span(value)
    number, prefix = _scaled(value)
    symbol = prefix + ("B" if unit == "bytes" else "")
    return f"{number} {symbol}" if symbol else number


def span(seconds: float) -> str:
    """A duration in its two largest units, for example ``3 d 4 h``; below a minute with three digits."""
    if abs(seconds) < _MINUTE:
        if seconds == 0:
            return "0 s"
        size, unit = next(((size, unit) for size, unit in _SMALL if abs(seconds) >= size), _SMALL[-1])
        return f"{_three(seconds / size)} {unit}"
    parts = []
    for size, unit in _SPANS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:.0f} {unit}")
    return " ".join(parts[:2])


def _scaled(value: float) -> tuple[str, str]:
    power = 0
    while abs(value) >= _ROUNDS_UP and power < len(_DECIMAL) - 1:
        value /= _THOUSAND
        power += 1
    return _three(value), _DECIMAL[power]


def _three(value: float) -> str:
    """At most three significant digits, without exponent and without superfluous zeros."""
    if value == int(value) and abs(value) < _THOUSAND:
        return str(int(value))
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
