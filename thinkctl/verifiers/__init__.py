"""Verifiers judge a sample without the reference answer. The protocol is ``thinkctl.protocols.Verifier``."""

__all__: list[str] = []
