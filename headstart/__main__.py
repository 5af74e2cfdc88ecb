"""`python -m headstart`: the same as the `headstart` command."""

from __future__ import annotations

from headstart.cli import main

if __name__ == "__main__":
    main()
