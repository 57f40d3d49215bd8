"""Bounds a push in time, whatever it waits for.

An exporter's own time limits begin anew with each address, each byte and each
retry, and none covers the search for a name. So each push runs in a thread of
its own, which is left behind when the time is up. Knows time and threads;
refuses to know what is pushed.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from natobs.exposition.otlp.delivery import Deliver, PushError

T = TypeVar("T")

_MOST_LEFT = 4
"""Threads left behind; no push is begun while there are so many."""


class Limited(Generic[T]):
    """Delivers one thing at a time, each within a limit.

    Args:
        make: makes what delivers; again after each push that was left behind with its connection.
        limit: in seconds.
    """

    def __init__(self, make: Callable[[], Deliver[T]], limit: float) -> None:
        self._make = make
        self._limit = limit
        self._deliver = make()
        self._left: list[threading.Thread] = []

    def __call__(self, item: T) -> str:
        """Deliver.

        Raises:
            PushError: it failed, or the time is up.
        """
        self._left = [thread for thread in self._left if thread.is_alive()]
        if len(self._left) >= _MOST_LEFT:
            raise PushError(f"{len(self._left)} earlier pushes have not come back", retry=True)
        answers: SimpleQueue[str | Exception] = SimpleQueue()
        deliver = self._deliver
        thread = threading.Thread(target=_run, args=(deliver, item, answers), name="natobs-otlp-push", daemon=True)
        thread.start()
        try:
            answer = answers.get(timeout=self._limit)
        except Empty:
            self._left.append(thread)
            self._deliver = self._make()
            raise PushError(f"no answer within {self._limit:g} s", retry=True) from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _run(deliver: Deliver[T], item: T, answers: "SimpleQueue[str | Exception]") -> None:
    try:
        answers.put(deliver(item))
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is taken
        answers.put(error)
