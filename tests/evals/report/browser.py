"""The browser that tests and benchmarks of the report open pages in, where one is installed."""

from __future__ import annotations

import shutil
from typing import Final

BROWSER: Final = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET: Final = tuple(
    (
        "--headless --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --hide-scrollbars"
    ).split()
)
