"""Verifiers judge a sample without the reference answer. The protocol is ``thinkctl.protocols.Verifier``."""

from thinkctl.verifiers.arithmetic import Arithmetic, check_arithmetic
from thinkctl.verifiers.code_tests import Tested, run_tests
from thinkctl.verifiers.docstring_tests import docstring_tests
from thinkctl.verifiers.duckdb_execution import DuckdbExecution
from thinkctl.verifiers.generated_tests import GeneratedTests
from thinkctl.verifiers.judge import Judge, PairwiseJudge
from thinkctl.verifiers.matches import Matches
from thinkctl.verifiers.program_result import ProgramResult
from thinkctl.verifiers.reward_models import (
    OutcomeRewardModel,
    ProcessRewardModel,
    unload_reward_models,
)
from thinkctl.verifiers.sandbox import Ran, Sandbox
from thinkctl.verifiers.schema import Schema
from thinkctl.verifiers.self_certainty import SelfCertainty, self_certainty
from thinkctl.verifiers.sql import SqlExecution
from thinkctl.verifiers.sql_rows import same_rows
from thinkctl.verifiers.unit_tests import UnitTests

__all__ = [
    "Arithmetic",
    "DuckdbExecution",
    "GeneratedTests",
    "Judge",
    "Matches",
    "OutcomeRewardModel",
    "PairwiseJudge",
    "ProcessRewardModel",
    "ProgramResult",
    "Ran",
    "Sandbox",
    "Schema",
    "SelfCertainty",
    "SqlExecution",
    "Tested",
    "UnitTests",
    "check_arithmetic",
    "docstring_tests",
    "run_tests",
    "same_rows",
    "self_certainty",
    "unload_reward_models",
]
