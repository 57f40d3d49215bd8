"""How much a function does, in bytecodes that Python carries out: a measure that a busy machine does not change.

What C does for a bytecode is not seen. So a bound says that nothing is done one by one
in Python, or not too often; what anything costs in seconds is for ``benchmarks/``.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")


def effort(work: Callable[[], Result]) -> tuple[Result, int]:
    """What a function gives, and the bytecodes that were carried out in this thread until it gave it."""
    count = 0

    def local(frame: FrameType, event: str, argument: Any) -> object:  # noqa: ANN401 - as sys.settrace has it
        nonlocal count
        count += event == "opcode"
        return local

    def called(frame: FrameType, event: str, argument: Any) -> object:  # noqa: ANN401 - as sys.settrace has it
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return local

    before = sys.gettrace()
    sys.settrace(called)  # type: ignore[arg-type]  # typeshed wants a function that gives itself
    try:
        result = work()
    finally:
        sys.settrace(before)
    return result, count
