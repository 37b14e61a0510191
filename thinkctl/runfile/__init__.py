"""Recorded runs and samples: written so that nothing is lost, read so that nothing is trusted."""

from thinkctl.runfile.pools import CHARS_PER_TOKEN, Pool, Recorded, RecordedSample, read_pool
from thinkctl.runfile.reading import Header, TornLine, is_run_file, read, read_header
from thinkctl.runfile.writing import RunFile, merge, write

__all__ = [
    "CHARS_PER_TOKEN",
    "Header",
    "Pool",
    "Recorded",
    "RecordedSample",
    "RunFile",
    "TornLine",
    "is_run_file",
    "merge",
    "read",
    "read_header",
    "read_pool",
    "write",
]
