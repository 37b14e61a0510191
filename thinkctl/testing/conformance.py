"""What every engine must do: checks for ours and for those of other packages, against the engine itself.

``check_engine`` runs all of them; ``CHECKS`` names each, so that a test can have one case for every check::

    @pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
    def test_the_engine_conforms(engine, check):
        asyncio.run(check(Trial(engine)))

A check asks for nothing that the engine's capabilities exclude, and raises ``AssertionError`` that says which
promise was broken. The engine must not be used by others meanwhile: counters are compared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from thinkctl.protocols import Engine
from thinkctl.testing import conformance_closing as closing
from thinkctl.testing import conformance_tokens as tokens
from thinkctl.testing.trial import Trial

__all__ = ["CHECKS", "Check", "Trial", "check_engine"]

Check = Callable[[Trial], Awaitable[None]]

CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        check.__name__.replace("_", " "): check
        for check in (
            tokens.stopping_and_continuing_changes_nothing,
            tokens.no_more_tokens_than_granted,
            tokens.a_stop_token_ends_and_comes_last,
            closing.a_close_ends_the_work_and_is_counted,
            closing.a_second_close_says_the_same,
            closing.a_stream_nobody_awaited_costs_nothing,
            closing.a_reader_that_gives_up_loses_nothing,
            closing.a_cancelled_consumer_leaves_nothing_behind,
            closing.another_task_may_close,
            tokens.a_repeated_prompt_is_cached,
            tokens.logprobs_come_with_the_tokens,
            tokens.forced_tokens_come_out_and_are_marked,
            tokens.forcing_after_the_end_is_refused,
            closing.many_streams_run_at_once,
            closing.the_bills_add_up_to_the_counters,
            closing.closing_before_the_first_token_is_counted,
            tokens.what_does_not_fit_the_context_is_refused,
            tokens.an_empty_prompt_does_no_harm,
            tokens.a_score_is_a_log_probability,
            tokens.scoring_leaves_other_streams_alone,
        )
    }
)
"""Every check by its sentence."""


async def check_engine(
    engine: Engine, *, prompt: Sequence[int] = (), tokens: int = 24, repeats: bool = True, at_once: int = 16
) -> None:
    """Run every check on an engine. Raises ``AssertionError`` with the check's sentence and what it found.

    The arguments are those of ``Trial``.
    """
    trial = Trial(engine, prompt, tokens, repeats, at_once)
    for sentence, check in CHECKS.items():
        try:
            await check(trial)
        except AssertionError as error:
            raise AssertionError(f"{sentence}: {error}") from error
