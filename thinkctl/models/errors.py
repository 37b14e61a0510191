"""What can go wrong between a model's name and a folder that an engine can load."""

from __future__ import annotations

from thinkctl.errors import ConfigurationError, ThinkctlError

__all__ = [
    "BadModelFolder",
    "ConversionFailed",
    "ModelHashMismatch",
    "ModelMissing",
    "ModelUnavailable",
    "NotEnoughDisk",
    "UnknownModel",
]


class UnknownModel(ConfigurationError):
    """No model of the catalogue, no local folder and no hub id is called so."""


class BadModelFolder(ConfigurationError):
    """A folder cannot be used as a model: the message names the file and the field."""


class ModelMissing(ThinkctlError):
    """The model is known but not on this machine yet, and nobody allowed a download."""


class ModelUnavailable(ThinkctlError):
    """No source could deliver the model; the message lists what was tried."""


class ModelHashMismatch(ThinkctlError):
    """Bytes are not the bytes that were pinned. They were not used."""


class ConversionFailed(ThinkctlError):
    """The downloaded file is right but could not be turned into a folder that engines load."""


class NotEnoughDisk(ThinkctlError):
    """The disk that holds the cache is too full for this model."""
