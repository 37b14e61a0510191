"""What tests of thinkctl, and of parts made for it, are made of: fakes, a fake clock and checks."""

from thinkctl.testing.build import history_of, sample_of
from thinkctl.testing.checks import check_policy, check_selector, check_strategy, histories
from thinkctl.testing.clock import Deadlock, LeftOver, VirtualLoop, run
from thinkctl.testing.script import Script
from thinkctl.testing.scripted import ScriptedEngine, ScriptedStream
from thinkctl.testing.tokens import ScriptedTokenizer
from thinkctl.testing.tracks import End, StreamLog

__all__ = [
    "Deadlock",
    "End",
    "LeftOver",
    "Script",
    "ScriptedEngine",
    "ScriptedStream",
    "ScriptedTokenizer",
    "StreamLog",
    "VirtualLoop",
    "check_policy",
    "check_selector",
    "check_strategy",
    "histories",
    "history_of",
    "run",
    "sample_of",
]
