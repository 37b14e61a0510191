"""All that thinkctl asks of vLLM, by the names vLLM 0.32 gives it. With ``steer`` the only module that imports it.

vLLM renames things between minor releases. ``check`` compares everything used here with what is installed,
so that a rename is one clear error at start-up and not a wrong bill later.
"""

from __future__ import annotations

import gc
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

import vllm
from tqdm.std import tqdm
from vllm import SamplingParams
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.engine.arg_utils import AsyncEngineArgs, EngineArgs
from vllm.inputs import tokens_input
from vllm.outputs import RequestOutput
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.executor import Executor
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import PrefixCacheStats, SchedulerIterationDetails, SchedulerStats

from thinkctl.engines.vllm import steer
from thinkctl.engines.vllm._intake import Piece
from thinkctl.engines.vllm._settings import SUPPORTED, Facts, Settings
from thinkctl.errors import ConfigurationError
from thinkctl.types import EngineCounters, Finish, GenerationSpec, TokenLogprob

__all__ = ["AsyncLLM", "EngineDeadError", "LLMEngine", "Tally", "check", "configure", "on_cpu"]

VERSION: Final[str] = vllm.__version__

_guard: Final = threading.Lock()
_in_process = 0
"""Lock-step engines in this process; guarded."""

_FINISH: Final = {"stop": Finish.STOP, "length": Finish.LENGTH}

_NEEDED: Final[Mapping[type, Sequence[str]]] = {
    SamplingParams: (
        "allowed_token_ids",
        "bad_words",
        "detokenize",
        "extra_args",
        "frequency_penalty",
        "ignore_eos",
        "logprob_token_ids",
        "logprobs",
        "max_tokens",
        "min_p",
        "min_tokens",
        "n",
        "output_kind",
        "presence_penalty",
        "repetition_penalty",
        "seed",
        "stop",
        "stop_token_ids",
        "temperature",
        "top_k",
        "top_p",
    ),
    AsyncEngineArgs: (
        "async_scheduling",
        "block_size",
        "disable_log_stats",
        "dtype",
        "enable_logging_iteration_details",
        "enable_prefix_caching",
        "enforce_eager",
        "kv_cache_memory_bytes",
        "logits_processors",
        "max_logprobs",
        "max_model_len",
        "max_num_seqs",
        "model",
        "scheduling_policy",
        "seed",
        "use_tqdm_on_load",
        "worker_extension_cls",
    ),
    SchedulerStats: (
        "iteration_details",
        "num_running_reqs",
        "num_skipped_waiting_reqs",
        "num_waiting_reqs",
        "prefix_cache_stats",
    ),
    SchedulerIterationDetails: (
        "num_ctx_tokens",
        "num_generation_requests",
        "num_generation_tokens",
    ),
    PrefixCacheStats: ("hits", "requests"),
}
"""Fields of vLLM's values that are read or written here."""

_CALLED: Final[Sequence[tuple[Callable[..., Any], Sequence[str]]]] = (
    (AsyncLLM.add_request, ("request_id", "prompt", "params", "priority")),
    (AsyncLLM.abort, ("request_id", "internal")),
    (AsyncLLM.collective_rpc, ("method", "args")),
    (AsyncLLM.shutdown, ("timeout",)),
    (LLMEngine.add_request, ("request_id", "prompt", "params", "priority")),
    (LLMEngine.abort_request, ("request_ids", "internal")),
    (LLMEngine.collective_rpc, ("method", "args")),
    (LLMEngine.reset_prefix_cache, ()),
    (StatLoggerBase.record, ("scheduler_stats", "iteration_stats", "mm_cache_stats", "engine_idx")),
)
"""Functions of vLLM that are called or overridden here, with their arguments."""


def check() -> None:
    """Compare what is used with what is installed. Raises ``ConfigurationError`` that lists what is missing."""
    missing = [
        f"{owner.__name__}.{name}"
        for owner, names in _NEEDED.items()
        for name in names
        if name not in getattr(owner, "__annotations__", {}) and not hasattr(owner, name)
    ]
    missing += [
        f"{function.__qualname__}({name}=)"
        for function, names in _CALLED
        for name in names
        if name not in inspect.signature(function).parameters
    ]
    if missing:
        raise ConfigurationError(
            f"vLLM {VERSION} lacks what thinkctl relies on: {', '.join(missing)}; install vllm{SUPPORTED}"
        )


def on_cpu() -> bool:
    """Say whether vLLM computes on the processor."""
    return bool(current_platform.is_cpu())


def configure(settings: Settings, *, lockstep: bool) -> tuple[Any, Facts]:
    """Return vLLM's configuration and what follows from it. Raises ``ConfigurationError`` if vLLM refuses it."""
    arguments = _arguments(settings, lockstep=lockstep)
    try:
        config = AsyncEngineArgs(**arguments).create_engine_config()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"vLLM {VERSION} refuses to load {settings.model}: {error}") from error
    parallel = config.parallel_config
    steerable = not (
        config.use_v2_model_runner
        or config.speculative_config is not None
        or parallel.data_parallel_size > 1
        or parallel.pipeline_parallel_size > 1
    )
    if steerable:
        own = f"{steer.__name__}:{steer.Steering.__name__}"
        config.model_config.logits_processors = [*(config.model_config.logits_processors or ()), own]
    return config, Facts(
        version=VERSION,
        cpu=on_cpu(),
        steerable=steerable,
        asynchronous=bool(config.scheduler_config.async_scheduling),
        context=int(config.model_config.max_model_len),
        vocabulary=int(config.model_config.get_vocab_size()),
        block=int(config.cache_config.block_size) if config.cache_config.enable_prefix_caching else 0,
        streams=int(config.scheduler_config.max_num_seqs),
        logprobs=int(config.model_config.max_logprobs),
    )


def _arguments(settings: Settings, *, lockstep: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": str(settings.model),
        "dtype": settings.dtype,
        "max_model_len": settings.context,
        "max_num_seqs": settings.streams,
        "seed": settings.seed,
        "max_logprobs": settings.logprobs,
        "enable_prefix_caching": True,
        "scheduling_policy": "priority",
        "enable_logging_iteration_details": True,
        "use_tqdm_on_load": False,
        "worker_extension_cls": f"{steer.__name__}.{steer.WorkerExtension.__name__}",
        "kv_cache_memory_bytes": settings.kv_cache_bytes,
        "block_size": settings.block,
    }
    if on_cpu():
        arguments["enforce_eager"] = True
    if lockstep:
        arguments["async_scheduling"] = False  # nothing is in flight when the driver looks: that is its point
    return arguments | dict(settings.extra)


def open_async(config: Any, tally: Tally) -> AsyncLLM:
    """Start an engine in a process of its own."""
    return AsyncLLM(
        vllm_config=config,
        executor_class=Executor.get_class(config),
        log_stats=False,  # no logging of vLLM's own; our logger alone turns the statistics on
        log_requests=False,
        stat_loggers=[tally.logger],
    )


def open_lockstep(config: Any, tally: Tally) -> LLMEngine:
    """Start an engine in this process and thread."""
    global _in_process
    with _guard:
        _in_process += 1
    return LLMEngine(
        vllm_config=config,
        executor_class=Executor.get_class(config),
        log_stats=True,
        stat_loggers=[tally.logger],
        multiprocess_mode=False,
    )


def shut_lockstep(llm: LLMEngine | None) -> None:
    """Free what the lock-step engine holds; the last one in the process frees what they share."""
    global _in_process
    if llm is not None:
        llm.renderer.shutdown()
        llm.engine_core.shutdown()
    with _guard:
        _in_process -= 1
        if _in_process == 0:
            cleanup_dist_env_and_memory()  # its process group has threads
            _stop_progress(tqdm)  # and so have the progress bars that were not shown
        gc.unfreeze()  # vLLM froze its objects at start-up; without this they would never be collected


def _stop_progress(kind: type[tqdm[Any]]) -> None:
    """End the monitor threads of progress bars: each class may have one."""
    monitor = vars(kind).get("monitor")
    if monitor is not None:
        monitor.exit()
        kind.monitor = None
    for heir in kind.__subclasses__():
        _stop_progress(heir)


def unfinished(llm: LLMEngine) -> int:
    """Return how many requests the lock-step engine's scheduler has not finished."""
    return int(llm.engine_core.engine_core.scheduler.get_num_unfinished_requests())


def prompt(token_ids: Sequence[int]) -> Any:
    """Return token ids as vLLM takes them."""
    return tokens_input(list(token_ids))


def sampling(spec: GenerationSpec, key: str | None, score: Sequence[int] | None = None) -> SamplingParams:
    """Return what vLLM shall do, every field that matters told: a model's own defaults are for its own apps.

    ``key`` is set where the worker watches streams; without it, scores come from vLLM's own log-probabilities.
    """
    extra: dict[str, Any] = {} if key is None else {steer.KEY: key}
    if score is not None and key is not None:
        extra[steer.SCORE] = list(score)
    return SamplingParams(
        n=1,
        max_tokens=spec.max_tokens,
        min_tokens=0,
        temperature=spec.temperature,
        top_p=spec.top_p,
        top_k=spec.top_k,
        min_p=spec.min_p,
        seed=spec.seed,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        repetition_penalty=1.0,
        stop=[],
        stop_token_ids=list(spec.stop_token_ids),
        ignore_eos=spec.ignore_end,
        logprobs=spec.logprobs,
        logprob_token_ids=list(score) if score is not None and key is None else None,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
        extra_args=extra or None,
    )


def piece(output: RequestOutput, logprobs: int | None) -> Piece:
    """Read one message."""
    choice = output.outputs[0]
    reason = choice.finish_reason
    known = reason in (None, "abort") or reason in _FINISH
    return Piece(
        token_ids=tuple(choice.token_ids),
        logprobs=_logprobs(choice, logprobs) if logprobs is not None and choice.token_ids else None,
        finish=_FINISH.get(reason) if reason is not None else None,
        cached=output.num_cached_tokens,
        error="" if known else f"vLLM ended the request with {reason!r}",
    )


def _logprobs(choice: Any, wanted: int) -> tuple[TokenLogprob, ...]:
    found: list[TokenLogprob] = []
    for token, row in zip(choice.token_ids, choice.logprobs, strict=True):
        values = sorted((entry.logprob for entry in row.values()), reverse=True)
        found.append(TokenLogprob(row[token].logprob, tuple(values[:wanted])))
    return tuple(found)


def scores_of(output: RequestOutput, token_ids: Sequence[int]) -> dict[int, float]:
    """Read the log-probabilities that were asked for by ``logprob_token_ids``."""
    (row,) = output.outputs[0].logprobs
    return {token: row[token].logprob for token in token_ids}


@final
class Tally:
    """The scheduler's own count of its work, summed over steps. Nothing here comes from streams.

    A step reports the requests it decoded for and the prompt tokens it computed; each request decodes its
    first token in the step that ends its prompt, so first tokens are requests admitted less ``barren``: those
    that were aborted between two chunks of their prompt, which only the drivers can tell.
    """

    def __init__(self) -> None:
        self._admitted = 0
        self._decoded = 0
        self._prompt = 0
        self._cached = 0
        self.barren = 0
        self.running = 0

    def logger(self, vllm_config: Any, engine_index: int = 0) -> StatLoggerBase:
        """Make a logger for one engine process; all count into this tally."""
        return _Logger(self)

    def add(self, stats: SchedulerStats) -> None:
        """Count one step."""
        self.running = stats.num_running_reqs + stats.num_waiting_reqs + stats.num_skipped_waiting_reqs
        self._admitted += stats.prefix_cache_stats.requests
        self._cached += stats.prefix_cache_stats.hits
        if (step := stats.iteration_details) is not None:
            recomputed = step.num_generation_tokens - step.num_generation_requests  # after a preemption
            self._decoded += step.num_generation_requests
            self._prompt += step.num_ctx_tokens + recomputed

    def counters(self, running: int) -> EngineCounters:
        """Return the sums."""
        return EngineCounters(
            prompt_tokens=self._prompt,
            cached_tokens=self._cached,
            generated_tokens=self._admitted + self._decoded - self.barren,
            running=running,
        )


class _Logger(StatLoggerBase):
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def record(
        self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None, engine_idx: int = 0
    ) -> None:
        if scheduler_stats is not None:
            self._tally.add(scheduler_stats)

    def log_engine_initialized(self) -> None:
        """Say nothing."""
