"""Valid bytes, damaged: for the promise that a parser raises its one error and nothing else."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

from natobs.errors import FormatError

Parsed = TypeVar("Parsed")


@st.composite
def damaged(draw: st.DrawFn, *valid: bytes) -> bytes:
    """One of the valid inputs after a few cuts, flips, insertions and repetitions."""
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["cut", "flip", "insert", "remove", "repeat"])):
            case "cut":
                del data[at:]
            case "flip" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "insert":
                data[at:at] = draw(st.binary(max_size=12))
            case "remove":
                del data[at : at + draw(st.integers(1, 8))]
            case _:
                data += data[:at]
    return bytes(data)


def attempt(parse: Callable[[bytes], Parsed], data: bytes) -> Parsed | None:
    """What a parser makes of data; None for its one error. Any other error passes, and fails the test."""
    try:
        return parse(data)
    except FormatError:
        return None
