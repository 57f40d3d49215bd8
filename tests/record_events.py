"""Records events in a journal, and names each once it is kept: ``record_events.py FILE NAME COUNT``."""

import sys
from pathlib import Path

from natobs.operations.file import JournalFile
from natobs.operations.journal import Event


def main() -> None:
    path, name, count = sys.argv[1:4]
    journal = JournalFile(Path(path))
    for number in range(int(count)):
        event = Event("other", "test", 1.0, f"{name}-{number}")
        journal.change(lambda present, event=event: present.recorded(event, 2.0))  # type: ignore[misc]  # bound now
        sys.stdout.write(event.note + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
