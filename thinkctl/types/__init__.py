"""The values of thinkctl: immutable, made of the standard library and pydantic alone.

What users write or what crosses a file or a wire is a frozen pydantic model (unknown keys are errors); what
lives on the hot path is a frozen dataclass with slots.
"""

from thinkctl.types.answer_type import AnswerType
from thinkctl.types.budget import DEFAULT_ANSWER_TOKENS, Budget
from thinkctl.types.card import Dimensions, ModelCard, Prices, ThinkingMarks
from thinkctl.types.decision import Decision, Needs, ProbeRequest, needs_of
from thinkctl.types.engine import Capabilities, Constraint, Delta, Finish, GenerationSpec, TokenLogprob
from thinkctl.types.history import History
from thinkctl.types.problem import Message, Problem, Request, Sampling
from thinkctl.types.run import (
    AnswerImproved,
    Decided,
    Event,
    Finished,
    ModelPrices,
    Note,
    Run,
    SampleFinished,
    SampleStarted,
    Shadow,
    StopReason,
    Thought,
)
from thinkctl.types.sample import Answer, Origin, Probe, Sample, Segment, Verdict
from thinkctl.types.spec import name_of, spec_of
from thinkctl.types.standing import Standing
from thinkctl.types.usage import EngineCounters, Receipt, ReceiptLine, Role, StreamUsage, Usage

__all__ = [
    "DEFAULT_ANSWER_TOKENS",
    "Answer",
    "AnswerImproved",
    "AnswerType",
    "Budget",
    "Capabilities",
    "Constraint",
    "Decided",
    "Decision",
    "Delta",
    "Dimensions",
    "EngineCounters",
    "Event",
    "Finish",
    "Finished",
    "GenerationSpec",
    "History",
    "Message",
    "ModelCard",
    "ModelPrices",
    "Needs",
    "Note",
    "Origin",
    "Prices",
    "Probe",
    "ProbeRequest",
    "Problem",
    "Receipt",
    "ReceiptLine",
    "Request",
    "Role",
    "Run",
    "Sample",
    "SampleFinished",
    "SampleStarted",
    "Sampling",
    "Segment",
    "Shadow",
    "Standing",
    "StopReason",
    "StreamUsage",
    "ThinkingMarks",
    "Thought",
    "TokenLogprob",
    "Usage",
    "Verdict",
    "name_of",
    "needs_of",
    "spec_of",
]
