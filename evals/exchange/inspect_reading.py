"""Logs of Inspect (``.eval`` and ``.json``) as runs: epochs of a sample become the samples of one run.

Source: the log format of Inspect AI, versions 1 and 2 (inspect.aisi.org.uk/eval-logs.html), looked up in release
0.3.285. Only JSON is read; nothing of Inspect needs to be installed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError

from thinkctl.errors import RunFileError
from thinkctl.evals.exchange.imported import Imported, Source, Taken, estimated_usage, imported, number_of
from thinkctl.evals.exchange.limits import Archive, Limits, json_of_file
from thinkctl.types import Finish, Message, ReceiptLine, Role, Sampling, Usage, Verdict

__all__ = ["read_inspect"]

_VERSIONS: Final = (1, 2)
_FINISHES: Final = {
    "stop": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "content_filter": Finish.CUT,
    "tool_calls": Finish.STOP,
    "unknown": Finish.STOP,
}
_RIGHT: Final[Mapping[object, bool]] = {"C": True, "I": False, "P": False, "N": False}
_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})
_ATTACHED: Final = re.compile(r"attachment://([0-9a-f]{32})")

Fields = Mapping[str, Any]


def read_inspect(
    path: str | Path,
    *,
    form_name: str | None = None,
    scorer: str | None = None,
    limits: Limits = Limits(),
) -> Imported:
    """Read a log of Inspect.

    Every epoch of a sample is a sample of its problem's run. Tokens are those that the log tells of the evaluated
    model; other models (graders) are verifiers on the receipt. ``scorer`` is the one whose answers and verdicts are
    taken (the first, where none is given); ``form_name`` how answers are compared, else what the references show. What
    the log leaves open is said in ``Imported.source.cautions``.

    Raises:
        RunFileError: for what is no log of Inspect, is broken, or is too big to be one.
        ConfigurationError: for a scorer or a form that is not there.
    """
    path = Path(path)
    said: Counter[str] = Counter()
    if path.suffix == ".eval":
        with Archive(path, limits) as archive:
            header = _object(_header(archive), f"{path}: header")
            names = [name for name in archive.names if name.startswith("samples/") and name.endswith(".json")]
            taken = [_taken(archive.json(name), f"{path}: {name}", header, scorer, said) for name in names]
    else:
        header = _object(json_of_file(path, limits), str(path))
        listed = header.get("samples")
        if not isinstance(listed, list):
            raise RunFileError(f"{path}: it has no samples; was it written with log_samples=False?")
        taken = [
            _taken(each, f"{path}: samples[{place}]", header, scorer, said)
            for place, each in enumerate(listed)
        ]
    if not taken:
        raise RunFileError(f"{path}: it holds no sample; give the log of a run that got that far")
    source = _source(path, header, taken, scorer, said)
    return imported(taken, source, form_name)


def _header(archive: Archive) -> Any:
    """Return the header of a log, or of a log that was never finished."""
    if "header.json" in archive.names:
        return archive.json("header.json")
    return {**_object(archive.json("_journal/start.json"), "_journal/start.json"), "status": "started"}


def _object(value: Any, where: str) -> Fields:
    if not isinstance(value, dict):
        raise RunFileError(
            f"{where}: expected an object, got {type(value).__name__}; is this a log of Inspect?"
        )
    return cast("Fields", value)


def _part(value: Fields, name: str) -> Fields:
    """Return an object inside an object; what is no object is empty."""
    found = value.get(name)
    return cast("Fields", found) if isinstance(found, dict) else {}


def _source(path: Path, header: Fields, taken: list[Taken], scorer: str | None, said: Counter[str]) -> Source:
    about = _part(header, "eval")
    if not about:
        raise RunFileError(f"{path}: it has no field 'eval'; is this a log of Inspect?")
    version, status = header.get("version"), header.get("status")
    cautions = [f"{number:,} of {len(taken):,} samples {what}" for what, number in said.items()]
    if version not in _VERSIONS:
        cautions.insert(0, f"log version {version!r} is not known here (known: 1, 2); read as version 2")
    if status != "success":
        cautions.insert(0, f"the evaluation ended as {status!r}: samples may be missing")
    sampling = _sampling(header)
    if sampling is None:
        cautions.append("the log does not say how tokens were drawn; the runs show defaults in that place")
    listed = about.get("scorers")
    named = (
        [str(each.get("name")) for each in listed if isinstance(each, dict)]
        if isinstance(listed, list)
        else []
    )
    ours = _part(about, "metadata").get("written_by") == "thinkctl"
    scorers = [name for name in named if not (ours and name == "verifier")]
    if scorer is None and len(scorers) > 1:
        cautions.append(f"it has the scorers {', '.join(scorers)}; {scorers[0]} was taken")
    packages = _part(about, "packages")
    return Source(
        kind="inspect",
        path=path,
        version=f"{version} (inspect_ai {packages.get('inspect_ai', 'unknown')})",
        task=str(about.get("task", "")),
        model=str(about.get("model", "")),
        scorer=scorer or next(iter(scorers), ""),
        sampling=sampling,
        cautions=tuple(cautions),
    )


def _sampling(header: Fields) -> Sampling | None:
    """Return how tokens were drawn, if the log says so: the task's settings over the model's."""
    settings = {
        **_part(_part(header, "eval"), "model_generate_config"),
        **_part(_part(header, "plan"), "config"),
    }
    told = {
        name: settings[name] for name in ("temperature", "top_p", "top_k", "max_tokens") if settings.get(name)
    }
    if settings.get("temperature") is None:
        return None
    try:
        return Sampling.model_validate({**told, "temperature": settings["temperature"]})
    except ValidationError:
        return None


# -- samples -------------------------------------------------------------------------------------------------


def _taken(value: Any, where: str, header: Fields, scorer: str | None, said: Counter[str]) -> Taken:
    sample = _object(value, where)
    name, epoch = sample.get("id"), sample.get("epoch", 1)
    if not isinstance(name, str | int) or isinstance(name, bool) or not str(name):
        raise RunFileError(f"{where}: id: expected a text or a number, got {name!r}")
    if type(epoch) is not int:
        raise RunFileError(f"{where}: epoch: expected a number, got {epoch!r}")
    attached = _part(sample, "attachments")
    question = _messages(sample.get("input"), attached, said)
    if not question or not any(turn.content.strip() for turn in question):
        raise RunFileError(f"{where}: input: there is no text in it; logs without inputs cannot be imported")
    output, model = _part(sample, "output"), str(_part(header, "eval").get("model", ""))
    prompt, turns = _put(sample.get("messages"), question, attached, said)
    if turns > 1:
        said["have several turns of the model: the text is the last one's, the tokens are of all"] += 1
    text, thought = _text(output, attached)
    ours = _part(_part(sample, "metadata"), "thinkctl")
    answer, correct = _score(sample, scorer, where, said, ours)
    finish, error = _finish(sample, output, said)
    usage, others = _usage(sample, output, model, prompt, text, turns, said)
    choices = sample.get("choices")
    return Taken(
        problem_id=str(name),
        place=epoch,
        question=question,
        prompt=prompt,
        text=text,
        model=model,
        usage=usage,
        finish=finish,
        said=answer,
        correct=correct,
        gold=_gold(sample.get("target"), said),
        thought_chars=thought,
        seconds=_seconds(sample.get("total_time")),
        error=error,
        choices=tuple(map(str, choices)) if isinstance(choices, list) else (),
        others=others,
        verdict=_verdict(sample) if ours else None,
        verifier=_part(_part(ours, "run"), "verifier") or None,
        form=str(ours["form"]) if "form" in ours else None,
    )


def _resolved(text: str, attached: Fields) -> str:
    """Return a text with what was kept apart from it put back."""
    return _ATTACHED.sub(lambda found: str(attached.get(found[1], found[0])), text)


def _content(value: Any, attached: Fields, said: Counter[str] | None = None) -> tuple[str, int]:
    """Return the text of a message, and how many characters of it are reasoning. Pictures and the like are named."""
    if isinstance(value, str):
        return _resolved(value, attached), 0
    parts: list[str] = []
    thought = 0
    for part in value if isinstance(value, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "reasoning":
            told = str(part.get("summary") or "") if part.get("redacted") else str(part.get("reasoning", ""))
            parts.append(f"<think>{_resolved(told, attached)}</think>\n")
            thought = sum(map(len, parts))
        elif kind == "text":
            parts.append(_resolved(str(part.get("text", "")), attached))
        else:
            parts.append(f"[{kind}]")
            if said is not None:
                said["hold something that is no text: it is left out"] += 1
    return "".join(parts), thought


def _messages(value: Any, attached: Fields, said: Counter[str]) -> tuple[Message, ...]:
    if isinstance(value, str):
        return (Message(role="user", content=_resolved(value, attached)),)
    found: list[Message] = []
    for turn in value if isinstance(value, list) else ():
        role = turn.get("role") if isinstance(turn, dict) else None
        if isinstance(role, str) and role in _ROLES:
            content = _content(turn.get("content"), attached, said)[0]
            found.append(Message.model_validate({"role": role, "content": content}))
    return tuple(found)


def _put(
    value: Any, question: tuple[Message, ...], attached: Fields, said: Counter[str]
) -> tuple[tuple[Message, ...], int]:
    """Return the messages before the model's last turn, and how many turns it had."""
    generated = [
        place
        for place, turn in enumerate(value if isinstance(value, list) else ())
        if isinstance(turn, dict)
        and turn.get("role") == "assistant"
        and turn.get("source", "generate") == "generate"
    ]
    if not generated:
        return question, 1
    before = _messages(value[: generated[-1]], attached, said)
    return before or question, len(generated)


def _text(output: Fields, attached: Fields) -> tuple[str, int]:
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = _part(cast("Fields", first), "message") if isinstance(first, dict) else {}
    if message.get("content"):
        return _content(message["content"], attached)
    return _resolved(str(output.get("completion") or ""), attached), 0


def _finish(sample: Fields, output: Fields, said: Counter[str]) -> tuple[Finish, str]:
    error = sample.get("error")
    if error:
        message = error.get("message") if isinstance(error, dict) else error
        said["failed"] += 1
        return Finish.ERROR, str(message)[:2_000]
    if sample.get("limit"):
        said["were ended by a limit of the harness"] += 1
        return Finish.LENGTH, ""
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    told = first.get("stop_reason") if isinstance(first, dict) else None
    reason = told if isinstance(told, str) else "unknown"
    if reason not in _FINISHES or reason == "unknown":
        said["do not tell why they ended: taken as ended by the model"] += 1
    return _FINISHES.get(reason, Finish.STOP), ""


def _usage(
    sample: Fields,
    output: Fields,
    model: str,
    prompt: tuple[Message, ...],
    text: str,
    turns: int,
    said: Counter[str],
) -> tuple[Usage, tuple[ReceiptLine, ...]]:
    told = _part(sample, "model_usage")
    own = _part(told, model) or _part(output, "usage")
    others = tuple(
        ReceiptLine(Role.VERIFIER, str(name), _counted(used, 1), None)
        for name, used in told.items()
        if name != model and isinstance(used, dict)
    )
    if not own.get("output_tokens"):
        if text:
            said["tell no tokens: estimated from characters"] += 1
        return estimated_usage("".join(turn.content for turn in prompt), text), others
    return _counted(own, turns), others


def _counted(used: Fields, requests: int) -> Usage:
    cached, reasoning = used.get("input_tokens_cache_read"), used.get("reasoning_tokens")
    output = number_of(used.get("output_tokens"))
    written, read = number_of(used.get("input_tokens_cache_write")), number_of(cached)
    thinking = min(number_of(reasoning), output) if reasoning is not None else output
    return Usage(
        requests=requests,
        prompt_tokens=number_of(used.get("input_tokens")) + written + read,
        cached_tokens=None if cached is None else read,
        thinking_tokens=thinking,
        answer_tokens=output - thinking,
    )


def _score(
    sample: Fields, scorer: str | None, where: str, said: Counter[str], ours: Fields
) -> tuple[str | None, bool | None]:
    """Return the answer that the scorer read, and whether it found it right.

    In a log that thinkctl wrote, what passed a public check is not thereby right.
    """
    scores = _part(sample, "scores")
    if scorer is not None and scores and scorer not in scores:
        raise RunFileError(f"{where}: there is no scorer {scorer!r}; it has {', '.join(map(str, scores))}")
    names = [name for name in scores if not (ours and name == "verifier")]
    name = scorer if scorer is not None else next(iter(names), None)
    score = _part(scores, name) if name is not None else {}
    answer = ours.get("answer") or "" if "answer" in ours else score.get("answer")
    read = answer if isinstance(answer, str) and (ours or answer.strip()) else None
    if not score:
        said["have no score"] += 1
        return read, None
    correct = _correct(score.get("value"))
    if correct is None:
        said["have a score that is neither right nor wrong: not graded"] += 1
    return read, correct


def _verdict(sample: Fields) -> Verdict | None:
    """Return what the verifier said, in a log that thinkctl wrote."""
    score = _part(_part(sample, "scores"), "verifier")
    value, feedback = score.get("value"), str(score.get("explanation") or "")
    if value in ("C", "I"):
        return Verdict(float(value == "C"), passed=value == "C", feedback=feedback)
    return Verdict(float(value), feedback=feedback) if isinstance(value, int | float) else None


def _correct(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else None
    return _RIGHT.get(value) if isinstance(value, str) else None


def _gold(value: Any, said: Counter[str]) -> str | None:
    if isinstance(value, list):
        if len(value) > 1:
            said["have several references: the first was taken"] += 1
        value = value[0] if value else None
    return value.strip() if isinstance(value, str) and value.strip() else None


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None
