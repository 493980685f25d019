"""`python3 -m harness VERB`. The verb deps works before anything is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DEBIAN_PYTHON = Path("/usr/bin/python3")


def use_debians_python() -> None:
    """Starts again under Debian's python3, whose modules are the ones that `make deps` installs,
    where another one comes first on PATH. Returns if this is the one."""
    if DEBIAN_PYTHON.exists() and Path(sys.executable).resolve() != DEBIAN_PYTHON.resolve():
        os.execv(DEBIAN_PYTHON, [str(DEBIAN_PYTHON), "-m", "harness", *sys.argv[1:]])


def main() -> int:
    """Hands over to deps, or to the command line that needs Debian's modules."""
    if sys.argv[1:2] == ["deps"]:
        from harness import deps

        return deps.main(sys.argv[2:])
    try:
        from harness import cli
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("harness"):
            raise
        use_debians_python()
        print(f"harness: the Python module '{error.name}' is missing: run `make deps`",
              file=sys.stderr)
        return 4
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
