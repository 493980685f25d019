"""`python3 -m harness VERB`. The verb deps works before anything is installed."""

from __future__ import annotations

import sys


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
        print(f"harness: the Python module '{error.name}' is missing: run `make deps`",
              file=sys.stderr)
        return 4
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
