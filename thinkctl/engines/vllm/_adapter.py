"""All that thinkctl asks of vLLM, by the names vLLM 0.32 gives it. With ``steer`` the only module that imports it.

vLLM renames things between minor releases. ``check`` compares everything used here with what is installed,
so that a rename is one clear error at start-up and not a wrong bill later.
"""

from __future__ import annotations

import gc
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import vllm
from tqdm.std import tqdm
from vllm import SamplingParams
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.inputs import tokens_input
from vllm.outputs import RequestOutput
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.core import EngineCoreProc
from vllm.v1.engine.core_client import AsyncMPClient
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.engine.output_processor import RequestOutputCollector
from vllm.v1.executor import Executor
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import PrefixCacheStats, SchedulerIterationDetails, SchedulerStats

from thinkctl.engines.intake import Piece
from thinkctl.engines.vllm import steer
from thinkctl.engines.vllm._settings import SUPPORTED, Facts, Settings
from thinkctl.engines.vllm._tally import Tally
from thinkctl.errors import ConfigurationError
from thinkctl.types import Finish, GenerationSpec, TokenLogprob

__all__ = [
    "EngineDeadError",
    "check",
    "configure",
    "open_async",
    "open_lockstep",
    "piece",
    "prompt",
    "sampling",
    "scores_of",
    "shut_lockstep",
    "unfinished",
]

VERSION: Final[str] = vllm.__version__

_OURS: Final = ("enable_logging_iteration_details", "worker_extension_cls", "model", "data_parallel_size")
"""Arguments of vLLM's engine that ``extra`` may not set: thinkctl could not keep its promises."""

_FINISH: Final = {"stop": Finish.STOP, "length": Finish.LENGTH}

_NEEDED: Final[Mapping[type, str]] = {
    SamplingParams: "detokenize extra_args frequency_penalty ignore_eos logprob_token_ids logprobs max_tokens min_p "
    "min_tokens n output_kind presence_penalty repetition_penalty seed stop stop_token_ids structured_outputs "
    "temperature top_k top_p",
    StructuredOutputsParams: "regex",
    AsyncEngineArgs: "async_scheduling block_size dtype enable_logging_iteration_details enable_prefix_caching "
    "enforce_eager kv_cache_memory_bytes logits_processors max_logprobs max_model_len max_num_seqs model "
    "scheduling_policy seed use_tqdm_on_load worker_extension_cls",
    SchedulerStats: "iteration_details num_running_reqs num_skipped_waiting_reqs num_waiting_reqs prefix_cache_stats",
    SchedulerIterationDetails: "num_ctx_tokens num_generation_requests num_generation_tokens",
    PrefixCacheStats: "hits preempted_requests requests",
    EngineCoreProc: "has_work",
    RequestOutputCollector: "get_nowait",
}
"""Fields and methods of vLLM's classes that are used here and in the drivers."""

_CALLED: Final[Sequence[tuple[Callable[..., Any], str]]] = (
    (AsyncLLM.__init__, "vllm_config executor_class log_stats log_requests stat_loggers"),
    (AsyncLLM.add_request, "request_id prompt params priority reasoning_ended"),
    (AsyncLLM.abort, "request_id internal"),
    (AsyncLLM.collective_rpc, "method args"),
    (AsyncLLM.shutdown, "timeout"),
    (AsyncMPClient.call_utility_async, "method"),
    (LLMEngine.__init__, "vllm_config executor_class log_stats stat_loggers multiprocess_mode"),
    (LLMEngine.add_request, "request_id prompt params priority"),
    (LLMEngine.abort_request, "request_ids internal"),
    (LLMEngine.collective_rpc, "method args"),
    (LLMEngine.reset_prefix_cache, ""),
    (StatLoggerBase.record, "scheduler_stats iteration_stats mm_cache_stats engine_idx"),
)
"""Functions of vLLM that are called or overridden, with their arguments."""

_guard: Final = threading.Lock()
_in_process: Final[set[int]] = set()
"""Lock-step engines that share this process, by identity of their configuration."""


def check() -> None:
    """Compare what is used with what is installed. Raises ``ConfigurationError`` that lists what is missing."""
    missing = [
        f"{owner.__name__}.{name}"
        for owner, names in _NEEDED.items()
        for name in names.split()
        if name not in getattr(owner, "__annotations__", {}) and not hasattr(owner, name)
    ]
    missing += [
        f"{function.__qualname__}({name}=)"
        for function, names in _CALLED
        for name in names.split()
        if name not in inspect.signature(function).parameters
    ]
    mailbox = vars(RequestOutputCollector(RequestOutputKind.DELTA, ""))
    missing += [
        f"{RequestOutputCollector.__name__}.{name}" for name in ("output", "ready") if name not in mailbox
    ]
    _refuse(missing)


def _refuse(missing: Sequence[str]) -> None:
    if missing:
        raise ConfigurationError(
            f"vLLM {VERSION} lacks what thinkctl relies on: {', '.join(missing)}; install vllm{SUPPORTED}"
        )


def configure(settings: Settings, *, lockstep: bool) -> tuple[Any, Facts]:
    """Return vLLM's configuration and what follows from it. Raises ``ConfigurationError`` if vLLM refuses it."""
    if wrong := [name for name in _OURS if name in settings.extra]:
        raise ConfigurationError(f"extra sets {wrong[0]!r}, which is thinkctl's to set; leave it out")
    cpu = bool(current_platform.is_cpu())
    try:
        config = AsyncEngineArgs(**_arguments(settings, cpu=cpu, lockstep=lockstep)).create_engine_config()
    except Exception as error:
        raise ConfigurationError(f"vLLM {VERSION} refuses {settings.model}: {error}") from error
    steerable = not (
        config.use_v2_model_runner
        or config.speculative_config is not None
        or config.parallel_config.pipeline_parallel_size > 1
    )
    if steerable:
        own = f"{steer.__name__}:{steer.Steering.__name__}"
        config.model_config.logits_processors = [*(config.model_config.logits_processors or ()), own]
    cache = config.cache_config
    return config, Facts(
        version=VERSION,
        cpu=cpu,
        steerable=steerable,
        asynchronous=bool(config.scheduler_config.async_scheduling),
        context=int(config.model_config.max_model_len),
        vocabulary=int(config.model_config.get_vocab_size()),
        block=int(cache.block_size) if cache.enable_prefix_caching else 0,
        streams=int(config.scheduler_config.max_num_seqs),
        logprobs=int(config.model_config.max_logprobs),
    )


def _arguments(settings: Settings, *, cpu: bool, lockstep: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": settings.model,
        "dtype": settings.dtype,
        "max_model_len": settings.context,
        "max_num_seqs": settings.streams,
        "seed": settings.seed,
        "max_logprobs": settings.logprobs,
        "kv_cache_memory_bytes": settings.kv_cache_bytes,
        "block_size": settings.block,
        "enable_prefix_caching": True,
        "scheduling_policy": "priority",
        "enable_logging_iteration_details": True,
        "use_tqdm_on_load": False,
        "worker_extension_cls": f"{steer.__name__}.{steer.WorkerExtension.__name__}",
    }
    if cpu:
        arguments["enforce_eager"] = True
    if lockstep:
        arguments["async_scheduling"] = False  # nothing is in flight when the driver looks: that is its point
    return arguments | dict(settings.extra)


def open_async(config: Any, tally: Tally) -> AsyncLLM:
    """Start an engine in a process of its own."""
    llm = AsyncLLM(
        vllm_config=config,
        executor_class=Executor.get_class(config),
        log_stats=False,  # no logging of vLLM's own; our logger alone turns the statistics on
        log_requests=False,
        stat_loggers=[lambda *_: _Logger(tally)],
    )
    client = vars(llm.engine_core)
    _refuse([f"AsyncMPClient.{name}" for name in ("outputs_queue", "resources") if name not in client])
    return llm


def open_lockstep(config: Any, tally: Tally) -> LLMEngine:
    """Start an engine in this process and thread."""
    with _guard:
        _in_process.add(id(config))
    return LLMEngine(
        vllm_config=config,
        executor_class=Executor.get_class(config),
        log_stats=True,
        stat_loggers=[lambda *_: _Logger(tally)],
        multiprocess_mode=False,
    )


def shut_lockstep(config: Any, llm: Any) -> None:
    """Free what the lock-step engine holds; ``llm`` is ``None`` if it was not loaded.

    All engines in a process share its distributed groups, and vLLM's own shutdown, also when it is collected as
    garbage, takes them down. So only the last engine may be shut down that way.
    """
    with _guard:
        _in_process.discard(id(config))
        if llm is not None:
            llm.renderer.shutdown()
            if _in_process and llm.engine_core._finalizer.detach() is not None:
                llm.engine_core.engine_core.model_executor.shutdown()
            else:
                llm.engine_core.shutdown()
        elif not _in_process:
            cleanup_dist_env_and_memory()
        if not _in_process:
            _stop_progress(tqdm)  # progress bars that were not shown have threads all the same
        gc.unfreeze()  # vLLM froze its objects at start-up; without this they would never be collected


def _stop_progress(kind: type[tqdm[Any]]) -> None:
    """End the monitor threads of progress bars: each class may have one."""
    monitor = vars(kind).get("monitor")
    if monitor is not None:
        monitor.exit()
        kind.monitor = None
    for heir in kind.__subclasses__():
        _stop_progress(heir)


def unfinished(llm: Any) -> int:
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
    # always the expression: a cut answer is completed by it, and vLLM's reading of a schema takes other blanks
    held = None if spec.constraint is None else StructuredOutputsParams(regex=spec.constraint.regex)
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
        structured_outputs=held,
        extra_args=extra or None,
    )


def piece(output: RequestOutput, logprobs: int | None) -> Piece:
    """Read one message."""
    choice = output.outputs[0]
    reason = choice.finish_reason
    return Piece(
        token_ids=tuple(choice.token_ids),
        logprobs=_logprobs(choice, logprobs) if logprobs is not None and choice.token_ids else None,
        finish=_FINISH.get(reason or ""),
        cached=output.num_cached_tokens,
        error="" if reason is None or reason in _FINISH else f"vLLM ended it with {reason!r}",
    )


def _logprobs(choice: Any, wanted: int) -> tuple[TokenLogprob, ...]:
    """Read the rows of a message: the best ones and, if it is none of them, the sampled token."""
    found: list[TokenLogprob] = []
    for token, row in zip(choice.token_ids, choice.logprobs, strict=True):
        values = sorted((entry.logprob for entry in row.values()), reverse=True)
        found.append(TokenLogprob(row[token].logprob, tuple(values[:wanted])))
    return tuple(found)


def scores_of(output: RequestOutput, token_ids: Sequence[int]) -> dict[int, float]:
    """Read the log-probabilities that were asked for by ``logprob_token_ids``."""
    rows: Any = output.outputs[0].logprobs
    return {token: rows[0][token].logprob for token in token_ids}


class _Logger(StatLoggerBase):
    """Hands the scheduler's statistics to a tally."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def record(
        self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None, engine_idx: int = 0
    ) -> None:
        """Take the report of one step."""
        if scheduler_stats is None:
            return
        stats, tally = scheduler_stats, self._tally
        tally.report(stats.num_running_reqs + stats.num_waiting_reqs + stats.num_skipped_waiting_reqs)
        found = stats.prefix_cache_stats
        tally.admit(found.requests, found.hits, found.preempted_requests)
        if stats.iteration_details is not None:
            tally.add(stats.iteration_details)

    def log_engine_initialized(self) -> None:
        """Say nothing."""
