"""Exchange: runs listed, exported to the formats of others, imported from theirs, and made into training data.

Nothing in here needs numpy; pyarrow and zstandard are loaded where a file asks for them.
"""

from thinkctl.evals.exchange.contamination import Evaluation, evaluation_problems
from thinkctl.evals.exchange.grading import Reference, by_gold, by_task
from thinkctl.evals.exchange.imported import Imported
from thinkctl.evals.exchange.inspect_reading import read_inspect
from thinkctl.evals.exchange.inspect_writing import write_inspect
from thinkctl.evals.exchange.limits import Limits
from thinkctl.evals.exchange.listing import Listed, find_run_files, listed
from thinkctl.evals.exchange.lm_eval_reading import read_lm_eval
from thinkctl.evals.exchange.rows import RUN_COLUMNS, SAMPLE_COLUMNS, rows_of_runs, rows_of_samples
from thinkctl.evals.exchange.tables import write_csv, write_jsonl, write_parquet
from thinkctl.evals.exchange.training import Chosen, Filter, choose, write_chat

__all__ = [
    "RUN_COLUMNS",
    "SAMPLE_COLUMNS",
    "Chosen",
    "Evaluation",
    "Filter",
    "Imported",
    "Limits",
    "Listed",
    "Reference",
    "by_gold",
    "by_task",
    "choose",
    "evaluation_problems",
    "find_run_files",
    "listed",
    "read_inspect",
    "read_lm_eval",
    "rows_of_runs",
    "rows_of_samples",
    "write_chat",
    "write_csv",
    "write_inspect",
    "write_jsonl",
    "write_parquet",
]
