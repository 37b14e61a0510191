"""Verifiers judge a sample without the reference answer. The protocol is ``thinkctl.protocols.Verifier``."""

from thinkctl.verifiers.sql import SqlExecution

__all__ = ["SqlExecution"]
