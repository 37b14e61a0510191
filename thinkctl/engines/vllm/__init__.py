"""vLLM in this program: ``VllmEngine`` for production, ``VllmLockstep`` for tests that must repeat.

Importing this package imports neither vLLM nor torch; starting an engine does. All that knows vLLM's names is
in ``_adapter`` and, for what runs in vLLM's worker, ``steer``.
"""

from thinkctl.engines.vllm._async import VllmEngine
from thinkctl.engines.vllm._lockstep import VllmLockstep

__all__ = ["VllmEngine", "VllmLockstep"]
