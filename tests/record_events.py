"""Records events in a journal, and names each once it is kept: ``record_events.py FILE NAME COUNT [unlocked]``."""

import sys
from pathlib import Path

from natobs.errors import OperationsError
from natobs.operations import file as subject
from natobs.operations.file import JournalFile
from natobs.operations.journal import Event


def main() -> None:
    path, name, count = sys.argv[1:4]
    if "unlocked" in sys.argv:
        subject._take = lambda descriptor: True
    journal = JournalFile(Path(path))
    for number in range(int(count)):
        event = Event("other", "test", 1.0, f"{name}-{number}")
        try:
            journal.change(lambda present, event=event: present.recorded(event, 2.0))  # type: ignore[misc]  # bound now
        except OperationsError:
            if "unlocked" not in sys.argv:
                raise
            continue  # somebody else has renamed the draft: not acknowledged
        sys.stdout.write(event.note + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
