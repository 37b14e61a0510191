"""Parts by name: strategies, stopping policies, selectors, verifiers and allocations.

A part is written as text, ``any-of(adaptive-consistency(0.95), thinking-cap(512))``, or as a spec,
``{"name": "self-consistency", "n": 32}``. Text is parsed, never evaluated. Our parts and those of other
packages are entry points alike: a package adds one by declaring ``my-rule = "my_package:MyRule"`` in the
group ``thinkctl.stopping`` (``.strategies``, ``.selectors``, ``.verifiers``, ``.allocations``); the class is then
called ``MyRule``. Our names cannot be taken over. Nothing is imported before it is asked for.
"""

from thinkctl.registry.names import KINDS, Description, Kind, describe, load, names
from thinkctl.registry.parameters import write
from thinkctl.registry.parts import allocation, build, parse, policy, selector, strategy, verifier

__all__ = [
    "KINDS",
    "Description",
    "Kind",
    "allocation",
    "build",
    "describe",
    "load",
    "names",
    "parse",
    "policy",
    "selector",
    "strategy",
    "verifier",
    "write",
]
