"""Run model-written Python where it can do no harm."""

from thinkctl.verifiers.sandbox.process import Ended, Ran
from thinkctl.verifiers.sandbox.sandbox import Sandbox

__all__ = ["Ended", "Ran", "Sandbox"]
