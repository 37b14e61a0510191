"""The command line. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done, 1 the engine failed, 2 what was asked for cannot be, 4 inconclusive (``calibrate``), 130
interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``thinkctl`` with these arguments (default: those of the process) and exit.

    What a user can mend is one line on stderr. Anything else is a mistake of ours and keeps its traceback.
    """
    from thinkctl.cli.app import app

    try:
        app(args=None if arguments is None else list(arguments), prog_name="thinkctl")
    except Exception as error:
        from thinkctl.cli.failures import explained

        told = explained(error)
        if told is None:
            raise
        code, message = told
        print(message, file=sys.stderr)  # noqa: T201 - this is the command line
        sys.exit(code)
