"""Models by name: a small catalogue, pulled where there is no model hub too, and cards read from local folders.

>>> from thinkctl import models
>>> models.entry_for("small").card.parameters
494032768
"""

from thinkctl.models.cache import cache_folder
from thinkctl.models.cards import card_for
from thinkctl.models.catalogue import DEFAULT, CatalogueEntry, catalogue, entry_for
from thinkctl.models.errors import (
    BadModelFolder,
    ConversionFailed,
    ModelHashMismatch,
    ModelMissing,
    ModelUnavailable,
    NotEnoughDisk,
    UnknownModel,
)
from thinkctl.models.progress import Progress, Report
from thinkctl.models.store import is_pulled, path, pull, resolve, verify

__all__ = [
    "DEFAULT",
    "BadModelFolder",
    "CatalogueEntry",
    "ConversionFailed",
    "ModelHashMismatch",
    "ModelMissing",
    "ModelUnavailable",
    "NotEnoughDisk",
    "Progress",
    "Report",
    "UnknownModel",
    "cache_folder",
    "card_for",
    "catalogue",
    "entry_for",
    "is_pulled",
    "path",
    "pull",
    "resolve",
    "verify",
]
