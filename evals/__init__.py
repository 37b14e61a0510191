"""Evaluation: tasks, studies, replay, metrics and curves.

Everything in here may know reference answers and may use numpy and matplotlib; nothing below it may. It is
imported as ``thinkctl.evals`` only, and ``import thinkctl`` does not load it.
"""

__all__: list[str] = []
