"""From recorded runs and pools to tapes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, final

from thinkctl.engines.tapes import Chat, Path, Tape, Vocabulary
from thinkctl.errors import ConfigurationError
from thinkctl.runfile import CHARS_PER_TOKEN, Recorded
from thinkctl.types import Finish, Message, ModelCard, Origin, Probe, Run, Sample, TokenLogprob

__all__ = ["Recording"]


@final
class Recording:
    """The samples of one model, from runs or pools, as tapes; those of one problem in the order given."""

    def __init__(self, recordings: Iterable[Run | Recorded], card: ModelCard, model: str | None) -> None:
        self.vocabulary: Final = Vocabulary(card.thinking)
        self.tapes: Final[list[Tape]] = []
        self.probes: Final[list[Tape]] = []
        self._card = card
        for recorded in recordings:
            if isinstance(recorded, Run):
                _RunReader(self, card, recorded).add(model)
            else:
                self._add_pooled(recorded)
        if not self.tapes:
            wanted = "" if model is None else f" of model {model!r}"
            raise ConfigurationError(f"the recording has no samples{wanted}; give a file that has some")

    def add(self, tape: Tape, chat: Chat, before: Path, *, probe: bool = False) -> None:
        """Add a tape that begins after ``before`` in a chat."""
        self.vocabulary.add(tape)
        (self.probes if probe else self.tapes).append(tape)
        chat.add(tape, before)

    def rewind(self) -> None:
        """Begin again with the first sample of every problem."""
        for chat in self.vocabulary.chats:
            chat.rewind()

    def _add_pooled(self, recorded: Recorded) -> None:
        question = recorded.question or recorded.id
        if self.vocabulary.chat_of((Message(role="user", content=question),)) is not None:
            raise ConfigurationError(
                f"the question of problem {recorded.id!r} is there twice; replay each of them apart"
            )
        tokens = max(1, -(-len(recorded.question) // CHARS_PER_TOKEN))
        chat = self.vocabulary.add_chat(question, Chat(question, tokens, name=recorded.id, estimated=True))
        for number, sample in enumerate(recorded.samples):
            boxed = "" if sample.answer is None else f"\\boxed{{{sample.answer}}}"
            tape = Tape(
                boxed if sample.text is None else sample.text,
                sample.tokens,
                name=f"sample {number} of problem {recorded.id}",
                finish=Finish.LENGTH if sample.truncated else Finish.STOP,
                seconds_per_token=sample.seconds / sample.tokens,
                estimated=sample.estimated,
            )
            if sample.text is None:
                tape.know(sample.tokens - 1, 0)
            self.add(tape, chat, ())


@final
class _RunReader:
    """Makes the tapes of one run."""

    def __init__(self, recording: Recording, card: ModelCard, run: Run) -> None:
        from thinkctl.answers import FORMS, form_of

        problem = run.history.problem
        form = form_of(problem) if problem.answer_type is not None else FORMS.get(problem.form)
        self._recording = recording
        self._card = card
        self._run = run
        self._cue = card.answer_cue + (form.cue if form is not None else "")
        self._opening = re.compile(form.opening) if form is not None and form.opening else None
        self._tapes: dict[int, Tape] = {}
        self._ends_of_turn = {
            sample.token_ids[-1]
            for sample in run.samples
            if sample.finish is Finish.STOP and not sample.concluded and sample.token_ids
        }

    def add(self, model: str | None) -> None:
        """Add the samples of a model, or all."""
        for sample in self._run.samples:
            if model is None or sample.model == model:
                self._tapes[sample.index] = self._add(sample)

    def _add(self, sample: Sample) -> Tape:
        name = f"sample {sample.index} of problem {self._run.history.problem.id}"
        tokens = dict.fromkeys(Origin, 0)
        for segment in sample.segments:
            tokens[segment.origin] += len(segment.token_ids)
        inherited = tokens[Origin.INHERITED]
        parent = None if sample.request.parent is None else self._tapes.get(sample.request.parent)
        if inherited and parent is None:
            raise ConfigurationError(
                f"{name} goes on from a sample that is not in the recording; replay a file that has both"
            )
        before, skipped = ((), 0) if parent is None else _fork(parent, sample, inherited)
        used = sample.usage.thinking_tokens + sample.usage.answer_tokens
        ended = sample.concluded and used == tokens[Origin.SAMPLED] + 1
        lead, closings, logprobs = _layout(sample, ended=ended)
        tape = Tape(
            sample.text[skipped:],
            tokens[Origin.SAMPLED] + tokens[Origin.FORCED] + (ended and len(closings) > 0),
            name=name,
            parent=parent,
            inherited=inherited,
            whole=sample.text,
            skipped=skipped,
            entry=before,
            lead=lead,
            closings=closings,
            ended=ended,
            logprobs=logprobs,
            finish=sample.finish,
            error=sample.error,
            seconds_per_token=_pace(sample),
            estimated=sample.usage.estimated,
        )
        self._know_thought(tape, sample)
        self._know_end(tape, sample)
        self._know_forced(tape, sample)
        self._know_step(tape, sample)
        chat = self._chat(sample) if parent is None or parent.chat is None else parent.chat
        self._recording.add(tape, chat, before)
        for probe in sample.probes:
            self._add_probe(tape, chat, inherited, probe, name)
        return tape

    def _add_probe(self, tape: Tape, chat: Chat, inherited: int, probe: Probe, name: str) -> None:
        """Add what a fork of a sample said: after the same tokens the same forced text finds it again.

        A probe of another version of thinkctl does not tell what it forced; one that failed said nothing.
        """
        place, said = probe.at - inherited, probe.usage.probe_tokens
        if not probe.forced or not probe.forced_tokens or not said or not tape.lead <= place <= tape.tokens:
            return
        fork = Tape(
            probe.forced + probe.text,
            probe.forced_tokens + said,
            name=f"the probe of {name} at token {probe.at}",
            parent=tape,
            inherited=probe.at,
            lead=probe.forced_tokens,
            logprobs=_of_probe(probe),
            estimated=probe.usage.estimated,
        )
        fork.know(probe.forced_tokens, len(probe.forced))
        self._recording.vocabulary.add_text(probe.forced, probe.forced_tokens)
        self._recording.add(fork, chat, tape.path(place), probe=True)

    def _chat(self, sample: Sample) -> Chat:
        messages = sample.request.messages
        vocabulary = self._recording.vocabulary
        if (known := vocabulary.chat_of(messages)) is not None:
            return known
        mark = self._card.thinking.start if self._card.thinking is not None and self._prompt_opens() else ""
        text = "\n".join(message.content for message in messages) + mark
        tokens = len(sample.prompt_ids)
        chat = Chat(text, max(1, tokens), name=self._run.history.problem.id, estimated=tokens == 0)
        chat.know(tokens - 1, len(text) - len(mark))
        return vocabulary.add_chat(messages, chat)

    def _prompt_opens(self) -> bool:
        """Whether thoughts began without the opening mark: then the prompt had it."""
        marks = self._card.thinking
        return marks is not None and any(
            sample.usage.thinking_tokens > 0
            and not marks.start.startswith(sample.text.lstrip()[: len(marks.start)])
            for sample in self._run.samples
            if sample.request.parent is None
        )

    # -- where the cuts are ---------------------------------------------------------------------------------

    def _know_end(self, tape: Tape, sample: Sample) -> None:
        """An end of turn is a token without text."""
        last = sample.segments[-1] if sample.segments else None
        if (
            sample.finish is Finish.STOP
            and last is not None
            and last.origin is Origin.SAMPLED
            and last.token_ids[-1:]
            and last.token_ids[-1] in self._ends_of_turn
        ):
            tape.know(tape.tokens - 1, len(tape.text))

    def _know_forced(self, tape: Tape, sample: Sample) -> None:
        """Forced text is a request's ``extend``, or closes the thought as the controller does it."""
        marks = self._card.thinking
        closing = (marks.end if marks is not None and sample.request.think else "") + self._cue
        extend = sample.request.extend
        if tape.lead:
            for text in (extend + closing, extend, closing):
                if text and tape.text.startswith(text):
                    tape.know(tape.lead, len(text))
                    self._recording.vocabulary.add_text(text, tape.lead)
                    break
            tape.entry = (*tape.entry, tape.part(0, tape.lead))
        for start, stop in tape.closings:
            char = max(0, sample.thought_chars - tape.skipped)
            if not tape.text.startswith(closing, char):
                char = tape.text.rfind(closing)
            if char >= 0:
                tape.know(start - tape.ended, char)
                tape.know(start, char)
                tape.know(stop, char + len(closing))
                self._recording.vocabulary.add_text(closing, stop - start)

    @staticmethod
    def _know_step(tape: Tape, sample: Sample) -> None:
        """A step was complete with its text; what came after that came together with it."""
        until = sample.request.until
        if sample.finish is not Finish.STEP or not until:
            return
        begin = tape.cut(tape.lead)
        begin += len(tape.text[begin:]) - len(tape.text[begin:].lstrip())
        at = tape.text.find(until, begin)
        tape.complete_at = None if at < 0 else at + len(until)

    def _know_thought(self, tape: Tape, sample: Sample) -> None:
        """The thought ends after so many tokens and so many characters; cut there, so that it does so again."""
        left, place = sample.usage.thinking_tokens, tape.lead
        for start, stop in [*tape.closings, (tape.tokens, tape.tokens)]:
            if place + left <= start:
                break
            left, place = left - (start - place), stop
        place, char = place + left, sample.thought_chars - tape.skipped
        if not 0 < place < tape.tokens or char < 0:
            return
        tape.know(place, char)
        if tape.closings and place >= tape.closings[0][0] - tape.ended:
            return  # it was closed there, and what begins the answer was forced
        if self._card.thinking is not None:
            mark = tape.text.rfind(self._card.thinking.end, 0, char)
            if mark >= 0:
                tape.know(place - 1, mark)
        elif self._opening is not None and (match := self._opening.search(tape.text, char)):
            tape.know(place + 1, match.start() + 1)


def _of_probe(probe: Probe) -> tuple[TokenLogprob | None, ...] | None:
    """Return the log-probabilities of a probe's tokens, if each of them has some."""
    if probe.logprobs is None or len(probe.logprobs) != probe.usage.probe_tokens:
        return None
    return (*[None] * probe.forced_tokens, *probe.logprobs)


def _pace(sample: Sample) -> float:
    """Return seconds per decoded token; text that was forced by a new prompt took none."""
    used = sample.usage
    decoded = used.thinking_tokens + used.answer_tokens + used.forced_tokens + used.wasted_tokens
    return 0.0 if sample.ended is None else (sample.ended - sample.started) / max(1, decoded)


def _fork(parent: Tape, sample: Sample, inherited: int) -> tuple[Path, int]:
    """Return what comes before a sample that goes on from another, in tokens and in characters."""
    tape, place = parent.line(inherited)
    pairs = enumerate(zip(sample.text, parent.whole, strict=False))
    same = next(
        (n for n, (ours, theirs) in pairs if ours != theirs), min(len(sample.text), len(parent.whole))
    )
    char = min(tape.skipped + tape.cut(place), same)
    if extend := sample.request.extend:
        found = sample.text.rfind(extend, 0, same + len(extend))
        char = found if found >= 0 else char
    tape.know(place, char - tape.skipped)
    return tape.path(place), tape.skipped + tape.cut(place)


def _layout(
    sample: Sample, *, ended: bool
) -> tuple[int, tuple[tuple[int, int], ...], tuple[TokenLogprob | None, ...] | None]:
    """Return how many of a sample's own tokens were forced first, which later, and log-probabilities.

    ``ended``: it had ended its turn before it was made to conclude; the end of turn, which was taken back but
    is on its bill, is put in again.
    """
    lead = place = 0
    closings: list[tuple[int, int]] = []
    logprobs: list[TokenLogprob | None] = []
    for segment in sample.segments:
        if segment.origin is Origin.INHERITED:
            continue
        forced = segment.origin is Origin.FORCED
        if forced and place > lead and not closings and ended:
            place += 1
            logprobs.append(None)
        start, place = place, place + len(segment.token_ids)
        logprobs += segment.logprobs or [None] * (place - start)
        if forced and start == lead:
            lead = place
        elif forced and closings and closings[-1][1] == start:
            closings[-1] = (closings[-1][0], place)
        elif forced:
            closings.append((start, place))
    known = any(segment.logprobs is not None for segment in sample.segments)
    return lead, tuple(closings), tuple(logprobs) if known else None
