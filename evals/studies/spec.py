"""A study as its author writes it: tasks, models, arms, budgets, and the claim that is stated before the run."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.types import Budget, Prices, Sampling

__all__ = ["ArmSpec", "Claim", "Limit", "ModelSpec", "Study", "TaskSpec", "dump_study", "load_study", "slug"]

Limit = Literal["samples", "tokens"]
Kind = Literal["iso-accuracy", "iso-compute", "non-inferior"]

_FORBID: Final = ConfigDict(frozen=True, extra="forbid")
_NAME: Final = r"^[^\W_][\w .,+()%-]*$"
"""Names become parts of file names."""
_LONGEST: Final = 60
"""Bytes of a name in a file name."""
TASK_VERIFIER: Final = "task"
"""What ``verifier`` says where the task's own public check is meant."""

Name = Annotated[str, Field(min_length=1, max_length=80, pattern=_NAME)]
PositiveInt = Annotated[int, Field(gt=0)]


class TaskSpec(BaseModel):
    """A task, how many of its questions, and how often each is run with each seed.

    ``name`` is what ``thinkctl.evals.tasks.task`` takes. ``label`` is what tables and files call it, where that is to
    be something else than the task's own name. ``questions`` are drawn by ``Task.split``; without it, all that are
    left after tuning.
    """

    model_config = _FORBID

    name: Annotated[str, Field(min_length=1)]
    label: Name | None = None
    questions: PositiveInt | None = None
    repeats: PositiveInt = 1


class ModelSpec(BaseModel):
    """A model: the engine that runs it (``KIND:WHAT``, or ``scripted:NAME`` to rehearse), and its options.

    ``prices`` are as ``thinkctl ask --prices`` takes them. ``value_bytes`` are the bytes of a number in its cache of
    keys and values.
    """

    model_config = _FORBID

    engine: Annotated[str, Field(pattern=r"^[a-z-]+:\S.*$")]
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    prices: str | Prices | None = None
    value_bytes: PositiveInt = 2


class ArmSpec(BaseModel):
    """One way to answer: a model, a strategy, and what goes with it. Parts are written as the command line takes them.

    ``models`` are further models that the strategy asks. ``verifier`` is a part, or ``"task"`` for the task's own
    check. ``think`` and ``sampling`` replace those of the strategy. ``budgets`` and ``limit`` go before the study's.
    ``measured`` runs independent samples anew for every budget, instead of once: then there are seconds and joules.
    ``wall`` bounds every run, whatever its budget.
    """

    model_config = _FORBID

    name: Name
    model: str
    strategy: str
    policy: str | None = None
    selector: str | None = None
    verifier: str | None = None
    models: tuple[str, ...] = ()
    think: bool | None = None
    sampling: Sampling | None = None
    budgets: tuple[PositiveInt, ...] | None = None
    limit: Limit | None = None
    pool: PositiveInt | None = None
    measured: bool = False
    wall: Budget | None = None
    tasks: tuple[str, ...] | None = None


class Claim(BaseModel):
    """Something that the study is to show, stated before it runs: about ``small`` against ``large``, both arms.

    ``iso-accuracy``: the small arm reaches the large one's accuracy for less on ``axis``. ``iso-compute``: at the large
    arm's spending the small one is more often right. ``non-inferior``: it is at most ``margin`` percentage points
    worse. ``task=None`` claims it of each task.
    """

    model_config = _FORBID

    small: str
    large: str
    task: str | None = None
    axis: Axis = Axis.GENERATED_TOKENS
    kind: Kind = "iso-accuracy"
    margin: Annotated[float, Field(ge=0, le=100)] = 0.0


class Study(BaseModel):
    """Arms at budgets over tasks.

    ``budgets`` are numbers of samples or of generated tokens of a question (``limit``); arms that ask once have none.
    ``seeds``: everything is run once with each. ``tune`` questions of each task (a number, or a share of it) are set
    apart to choose prompts and thresholds on, and never reported. ``pool`` is how many independent samples are drawn
    once, to be evaluated at every budget (default: the largest budget), each in the recorded order and in so many
    shuffled ``orders``. ``at_once`` is how many questions a model works on at the same time. Each of the ``claims`` is
    judged by itself, and where there are several, all together as well.
    """

    model_config = _FORBID

    title: Annotated[str, Field(min_length=1)]
    tasks: Annotated[tuple[TaskSpec, ...], Field(min_length=1)]
    models: Annotated[Mapping[str, ModelSpec], Field(min_length=1)]
    arms: Annotated[tuple[ArmSpec, ...], Field(min_length=1)]
    budgets: tuple[PositiveInt, ...] = ()
    limit: Limit = "samples"
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    tune: Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, lt=1)] = 0
    pool: PositiveInt | None = None
    orders: Annotated[int, Field(ge=0, le=1000)] = 8
    at_once: PositiveInt = 16
    claims: tuple[Claim, ...] = ()

    @field_validator("budgets")
    @classmethod
    def _budgets_rise(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(value)))

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"seeds {list(value)} name one twice; that would be the same run again")
        return value

    @model_validator(mode="after")
    def _names_are_known_and_differ(self) -> Self:
        arms = [arm.name for arm in self.arms]
        _differ("arms", arms)
        _differ("tasks", [task.label or task.name for task in self.tasks])
        known_tasks = {task.label or task.name for task in self.tasks}
        for place, arm in enumerate(self.arms):
            for model in (arm.model, *arm.models):
                _is_known(f"arms.{place}.model", model, self.models)
            for task in arm.tasks or ():
                _is_known(f"arms.{place}.tasks", task, known_tasks)
        for place, claim in enumerate(self.claims):
            _is_known(f"claims.{place}.small", claim.small, arms)
            _is_known(f"claims.{place}.large", claim.large, arms)
            if claim.task is not None:
                _is_known(f"claims.{place}.task", claim.task, known_tasks)
            if claim.small == claim.large:
                raise ValueError(f"claims.{place} compares {claim.small!r} with itself; name two arms")
            if claim in self.claims[:place]:
                raise ValueError(f"claims.{place} is there twice; state it once")
        return self


def _differ(what: str, names: Sequence[str]) -> None:
    slugs = [slug(name) for name in names]
    for name, short in zip(names, slugs, strict=True):
        if slugs.count(short) > 1:
            raise ValueError(f"{what}: {name!r} is there twice (or differs in signs only); rename one")


def _is_known(path: str, name: str, known: Any) -> None:
    if name not in known:
        raise ValueError(f"{path} is {name!r}, which the study does not define; it has {', '.join(known)}")


def slug(name: str) -> str:
    """Return a name as a part of a file name: letters, digits, ``.`` and ``-``; long ones end in a hash."""
    short = re.sub(r"[^\w.]+|_+", "-", name).strip("-.")
    data = short.encode("utf-8", "replace")
    if 0 < len(data) <= _LONGEST and short == data.decode("utf-8"):
        return short
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{data[: _LONGEST - 9].decode('utf-8', 'ignore').replace('?', '-').strip('-')}-{digest}".lstrip(
        "-."
    )


def load_study(path: str | Path) -> Study:
    """Read a study file.

    Raises ``ConfigurationError`` for a file that is not there or no TOML, and for what a study cannot be: every wrong
    key with its path.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: this is no TOML: {error}") from None
    try:
        return Study.model_validate(found)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {_in_words(error)}") from None


_RENAMED: Final = {"claim": "state each claim under [[claims]]; "}
"""Keys that files had before, and what they are now."""


def _in_words(error: ValidationError) -> str:
    said: dict[str, None] = {}
    for item in error.errors():
        path = _path(item["loc"])
        if item["type"] == "extra_forbidden":
            instead = _RENAMED.get(path, "")
            said[f"{path}: unknown key; {instead}{_known_beside(item['loc'])}"] = None
        elif item["type"] == "missing":
            said[f"{path}: is missing"] = None
        else:
            message = item["msg"].removeprefix("Value error, ")
            said[f"{path}: {message}" if path else message] = None
    return "; ".join(said)


def _path(steps: Sequence[int | str]) -> str:
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps if step not in _BRANCHES
    ).removeprefix(".")


_BRANCHES: Final = {"Prices", "str", "constrained-int", "constrained-float", "int", "float"}
"""What pydantic puts into a path to say which of several types it tried."""


def _known_beside(steps: Sequence[int | str]) -> str:
    """Say which keys the table takes in which an unknown one stands."""
    shape: Any = Study
    tables: Mapping[str, Any] = {
        "tasks": TaskSpec,
        "models": ModelSpec,
        "arms": ArmSpec,
        "claims": Claim,
        "sampling": Sampling,
        "wall": Budget,
        "prices": Prices,
    }
    for step in steps[:-1]:
        shape = tables.get(str(step), shape)
    return f"known here: {', '.join(shape.model_fields)}"


# -- writing -------------------------------------------------------------------------------------------------


def dump_study(study: Study) -> str:
    """Return a study as TOML; reading it gives the same study."""
    values = study.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    lines = [
        f"{key} = {_toml(value)}"
        for key, value in values.items()
        if key not in {"tasks", "models", "arms", "claims"}
    ]
    for name in ("tasks", "arms"):
        for row in values[name]:
            lines += ["", f"[[{name}]]", *(f"{key} = {_toml(value)}" for key, value in row.items())]
    for name, row in values["models"].items():
        lines += [
            "",
            f"[models.{_key(name)}]",
            *(f"{_key(key)} = {_toml(value)}" for key, value in row.items()),
        ]
    for row in values.get("claims", ()):
        lines += ["", "[[claims]]", *(f"{key} = {_toml(value)}" for key, value in row.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
