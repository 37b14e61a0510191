"""Reward models: what is asked in one moment is scored together, billed, and scored as the model alone would."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import says
from thinkctl import Budget, Controller, Prices, models, registry
from thinkctl.errors import ConfigurationError, ContextExceeded
from thinkctl.protocols import Verifier
from thinkctl.strategies import BestOfN
from thinkctl.testing import ScriptedEngine, history_of, run, sample_of
from thinkctl.types import Message, Role, Sample, Usage, Verdict, spec_of
from thinkctl.verifiers import OutcomeRewardModel, ProcessRewardModel, unload_reward_models
from thinkctl.verifiers.reward_models import Text, Tokens, _probability, _Scorer
from thinkctl.verifiers.reward_models_texts import tokens_of

ASK = (Message(role="user", content="What is 2 + 2?"),)


# -- batches, without a model ----------------------------------------------------------------------------------------


class Counts:
    """A classifier whose logit is the length of a text; it keeps what it was given, and in which thread."""

    context: int | None = 9

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.threads: set[int] = set()

    def encode(self, text: Text) -> Tokens:
        if text.steps == ("broken",):
            raise ConfigurationError("this one cannot be read")
        ids = tuple(range(len(text.steps[0])))
        return Tokens(ids, (len(ids) - 1,))

    def logits(self, batch: Sequence[Tokens]) -> Sequence[Sequence[Sequence[float]]]:
        self.batches.append(len(batch))
        self.threads.add(threading.get_ident())
        return [[[float(len(each.ids))]] for each in batch]


async def all_of(scorer: _Scorer, *texts: str) -> list[Any]:
    asked = (scorer.score(Text(ASK, (text,))) for text in texts)
    return await asyncio.gather(*asked, return_exceptions=True)


@pytest.mark.parametrize(("count", "batches"), [(1, [1]), (4, [4]), (9, [4, 4, 1])])
def test_what_is_asked_in_one_moment_is_scored_together(count, batches) -> None:
    fake = Counts()
    texts = ["x" * (place + 1) for place in range(count)]
    found = asyncio.run(all_of(_Scorer(lambda: fake, 4), *texts))
    assert fake.batches == batches
    assert found == [(Usage(requests=1, prompt_tokens=len(text)), [[len(text)]]) for text in texts]
    assert threading.get_ident() not in fake.threads
    assert len(fake.threads) == 1


def test_a_model_is_loaded_once_for_every_loop_that_asks() -> None:
    loaded: list[Counts] = []

    def load() -> Counts:
        loaded.append(Counts())
        return loaded[-1]

    scorer = _Scorer(load, 4)
    assert [asyncio.run(all_of(scorer, "xx"))[0][1] for _ in range(3)] == [[[2.0]]] * 3
    assert len(loaded) == 1


def test_one_text_that_is_too_long_does_not_harm_the_others() -> None:
    short, long, other = asyncio.run(all_of(_Scorer(Counts, 4), "xx", "x" * 10, "xxx"))
    assert (short[1], other[1]) == ([[2.0]], [[3.0]])
    assert isinstance(long, ContextExceeded)
    assert "reads at most 9 tokens; this has 10" in str(long)


def test_a_model_that_fails_fails_those_who_asked_and_no_later_one() -> None:
    scorer = _Scorer(Counts, 4)

    async def main() -> list[Any]:
        return [*(await all_of(scorer, "broken", "xx")), *(await all_of(scorer, "xx"))]

    one, two, later = asyncio.run(main())
    assert isinstance(one, ConfigurationError)
    assert isinstance(two, ConfigurationError)
    assert later[1] == [[2.0]]


def test_one_who_does_not_wait_any_more_is_left_out() -> None:
    fake = Counts()
    scorer = _Scorer(lambda: fake, 4)

    async def main() -> Any:
        leaving = asyncio.ensure_future(scorer.score(Text(ASK, ("x",))))
        staying = asyncio.ensure_future(scorer.score(Text(ASK, ("xx",))))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(main())[1] == [[2.0]]


# -- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logits", "label", "score"),
    [
        ([0.0], None, 0.5),
        ([2.0], None, 1 / (1 + math.exp(-2))),
        ([-800.0], None, 0.0),
        ([800.0], 0, 1.0),
        ([0.0, math.log(3)], None, 0.75),
        ([0.0, math.log(3)], 0, 0.25),
        ([0.0, 0.0, math.log(2)], 2, 0.5),
        ([800.0, -800.0], None, 0.0),
    ],
)
def test_logits_become_scores(logits, label, score) -> None:
    assert _probability(logits, label) == pytest.approx(score)


@pytest.mark.parametrize(
    ("logits", "label"), [([1.0, 2.0, 3.0], None), ([1.0, 2.0], 2), ([1.0], 1), ([1.0, 2.0], -1)]
)
def test_a_label_that_is_none_is_refused(logits, label) -> None:
    with pytest.raises(ConfigurationError, match=f"has {len(logits)} labels"):
        _probability(logits, label)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4))
def test_every_score_is_in_its_range(logits) -> None:
    assert 0 <= _probability(logits, 0) <= 1


# -- texts -----------------------------------------------------------------------------------------------------------


class Letters:
    """A tokenizer of letters; ``#`` is its special token, and a chat is ``u:...#a:...#``."""

    all_special_tokens = ("<#>",)

    def __init__(self, chat_template: str | None = "a template") -> None:
        self.chat_template = chat_template

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(letter) for letter in (f"^{text}" if add_special_tokens else text)]

    def apply_chat_template(
        self, turns: list[dict[str, str]], *, add_generation_prompt: bool = False, **_: object
    ) -> list[int]:
        text = "".join(f"{turn['role'][0]}:{turn['content']}#" for turn in turns)
        return self.encode(text + ("a:" if add_generation_prompt else ""), add_special_tokens=False)


def read(tokens: Tokens) -> tuple[str, str]:
    text = "".join(map(chr, tokens.ids))
    return text, "".join(text[place] for place in tokens.places)


@pytest.mark.parametrize(
    ("template", "by_step", "tag", "expected"),
    [
        ("t", False, "", ("u:What is 2 + 2?#a:one\n\ntwo#", "#")),
        ("t", True, "", ("u:What is 2 + 2?#a:one\n\ntwo", "\no")),
        ("t", True, "@", ("u:What is 2 + 2?#a:one@two@", "@@")),
        (None, False, "", ("^What is 2 + 2?\n\none\n\ntwo", "o")),
        (None, True, "", ("^What is 2 + 2?\n\none\n\ntwo", "\no")),
    ],
)
def test_a_text_is_scored_at_its_end_or_at_the_end_of_each_step(template, by_step, tag, expected) -> None:
    tokens = tokens_of(Letters(template), Text(ASK, ("one", "two"), tag=tag), by_step=by_step)
    assert read(tokens) == expected


def test_a_special_token_that_a_text_spells_is_text() -> None:
    text, _ = read(tokens_of(Letters(), Text(ASK, ("4 <#> is right",)), by_step=True))
    assert text.endswith("4 < #> is right")


def test_a_tag_is_one_token() -> None:
    with pytest.raises(ConfigurationError, match="is 2 tokens"):
        tokens_of(Letters(), Text(ASK, ("one",), tag="@@"), by_step=True)


# -- as parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [OutcomeRewardModel("some/model", label=1), ProcessRewardModel("some/model", "min", tag="<x>")],
    ids=repr,
)
def test_they_are_registered_verifiers(part) -> None:
    assert isinstance(part, Verifier)
    assert registry.build(spec_of(part)) == part


@pytest.mark.parametrize(
    ("kind", "knobs", "says_"),
    [
        (OutcomeRewardModel, {"model": ""}, "model=''"),
        (OutcomeRewardModel, {"model": "m", "batch": 0}, "batch=0"),
        (OutcomeRewardModel, {"model": "m", "runtime": "jax"}, "runtime='jax'"),
        (ProcessRewardModel, {"model": "m", "aggregate": "mean"}, "aggregate='mean'"),
        (ProcessRewardModel, {"model": "m", "separator": ""}, "separator=''"),
    ],
)
def test_knobs_out_of_range_are_refused(kind: Any, knobs, says_) -> None:
    with pytest.raises(ConfigurationError, match=says_):
        kind(**knobs)


# -- with models, tiny and random ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    import torch
    from transformers import (
        AutoTokenizer,
        Qwen2Config,
        Qwen2ForSequenceClassification,
        Qwen2ForTokenClassification,
    )

    tokenizer = AutoTokenizer.from_pretrained(models.resolve("smollm2-135m-instruct"))
    found = {}
    for name, kind, labels in [
        ("outcome", Qwen2ForSequenceClassification, 1),
        ("process", Qwen2ForTokenClassification, 2),
    ]:
        torch.manual_seed(len(name))
        shape: dict[str, Any] = {
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 512,
            "num_labels": labels,
            "pad_token_id": tokenizer.pad_token_id,
            "initializer_range": 0.5,
        }
        found[name] = tmp_path_factory.mktemp(name)
        kind(Qwen2Config(**shape)).save_pretrained(found[name])
        tokenizer.save_pretrained(found[name])
    yield found
    unload_reward_models()


THOUGHTS = ("Two and two.\n\nThat is four.", "Hm.\n\nTwo,\n\nfour,\n\nsix.\n\nNo: five.", "Six")


def samples() -> list[Sample]:
    return [sample_of(answer, thought=thought) for answer, thought in zip("456", THOUGHTS, strict=True)]


def judged(verifier: Verifier) -> list[Verdict]:
    history = history_of(*samples())

    async def main() -> list[Verdict]:
        return await asyncio.gather(*(verifier.judge(history, sample, {}) for sample in history.samples))

    return asyncio.run(main())


@pytest.mark.engine
def test_an_outcome_model_scores_as_its_forward_pass(folders) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folders["outcome"])
    model = AutoModelForSequenceClassification.from_pretrained(folders["outcome"]).eval()
    verdicts = judged(OutcomeRewardModel(str(folders["outcome"])))
    question = history_of().problem.text
    for verdict, sample in zip(verdicts, samples(), strict=True):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": sample.text}]
        ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=False)
        with torch.inference_mode():
            expected = torch.sigmoid(model(ids).logits[0, 0]).item()
        assert verdict.score == pytest.approx(expected, abs=1e-4)
        assert verdict.usage == Usage(requests=1, prompt_tokens=ids.shape[1])
        assert verdict.model == str(folders["outcome"])
    assert len({round(verdict.score or 0, 6) for verdict in verdicts}) == 3


@pytest.mark.engine
@pytest.mark.parametrize("aggregate", ["last", "min", "prod"])
def test_a_process_model_scores_each_step_as_its_forward_pass(folders, aggregate) -> None:
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folders["process"])
    model = AutoModelForTokenClassification.from_pretrained(folders["process"]).eval()
    turns = [{"role": "user", "content": history_of().problem.text}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    for verdict, sample in zip(
        judged(ProcessRewardModel(str(folders["process"]), aggregate)), samples(), strict=True
    ):
        steps, ids, ends = sample.text.split("\n\n"), list(prompt), []
        for place, step in enumerate(steps):
            ids += tokenizer.encode(step + "\n\n" * (place + 1 < len(steps)), add_special_tokens=False)
            ends.append(len(ids) - 1)
        with torch.inference_mode():
            scores = torch.softmax(model(torch.tensor([ids])).logits[0], -1)[ends, 1].tolist()
        expected = {"last": scores[-1], "min": min(scores), "prod": math.prod(scores)}[aggregate]
        assert verdict.score == pytest.approx(expected, abs=1e-4)
        assert verdict.usage.prompt_tokens == len(ids)
        assert f"of {len(steps)} is the weakest" in verdict.feedback


@pytest.mark.engine
def test_what_a_reward_model_reads_is_on_the_bill_and_priced(folders) -> None:
    name = str(folders["outcome"])
    prices = Prices(
        dollars_per_million_prompt_tokens=Decimal(1), dollars_per_million_generated_tokens=Decimal(0)
    )

    async def main() -> Any:
        engine = ScriptedEngine([says("4"), says("5")])
        controller = Controller(engine, BestOfN(2), verifier=OutcomeRewardModel(name), prices={name: prices})
        return await controller.solve("Which?", Budget(tokens=200))

    found = run(main())
    (line,) = [line for line in found.receipt.lines if line.role is Role.VERIFIER]
    assert line.model == name
    assert line.usage == sum((s.verdict.usage for s in found.samples if s.verdict), Usage())
    assert line.dollars == Decimal(line.usage.prompt_tokens) / 1_000_000
    assert found.receipt.verifier_calls == 2


@pytest.mark.engine
def test_a_text_beyond_the_context_gets_no_verdict(folders) -> None:
    sample = replace(sample_of("4"), text="word " * 600)
    judging = OutcomeRewardModel(str(folders["outcome"])).judge(history_of(sample), sample, {})
    with pytest.raises(ContextExceeded, match="reads at most 512 tokens"):
        asyncio.run(judging)


@pytest.mark.engine
def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    sample = sample_of("4")
    judging = OutcomeRewardModel(str(tmp_path)).judge(history_of(sample), sample, {})
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        asyncio.run(judging)


@pytest.mark.engine
@pytest.mark.parametrize("name", ["outcome", "process"])
def test_vllm_scores_as_transformers_does(folders, name) -> None:
    kind: Any = OutcomeRewardModel if name == "outcome" else ProcessRewardModel
    verdicts = [judged(kind(str(folders[name]), runtime=runtime)) for runtime in ("transformers", "vllm")]
    for one, other in zip(*verdicts, strict=True):
        assert one.score == pytest.approx(other.score, abs=0.02)
        assert one.usage == other.usage
    unload_reward_models()
