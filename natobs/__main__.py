"""``python -m natobs``: the same program as the ``natobs`` command."""

from natobs.cli.main import main

if __name__ == "__main__":
    main()
