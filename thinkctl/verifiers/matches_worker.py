"""One match of a regular expression, in a process of its own: backtracking may take for ever.

Run as a script: ``python -I matches_worker.py``. It reads one JSON line (pattern, text, whole), says ``ready``, and
answers with one JSON line.
"""

from __future__ import annotations

import json
import re
import sys


def main() -> None:
    """Answer the one question that standard input asks."""
    asked = json.loads(sys.stdin.readline())
    pattern = re.compile(str(asked["pattern"]))
    sys.stdout.write('{"ready": true}\n')
    sys.stdout.flush()
    text = str(asked["text"])
    found = pattern.fullmatch(text) if asked["whole"] else pattern.search(text)
    sys.stdout.write(json.dumps({"matches": found is not None}) + "\n")


if __name__ == "__main__":
    main()
