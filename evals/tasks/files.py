"""Problems out of a user's own file, or out of a file of a data set on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks.hub import fetched
from thinkctl.evals.tasks.questions import Columns, by_answer, check_form, questions_of
from thinkctl.evals.tasks.reading import checked, read_rows
from thinkctl.evals.tasks.spec import slug
from thinkctl.evals.tasks.task import Task
from thinkctl.types import Sampling

__all__ = ["from_file", "from_hub"]


def from_file(
    what: str,
    *,
    question: str = "question",
    answer: str = "answer",
    ids: str = "id",
    choices: str = "choices",
    form: str = "",
    name: str = "",
    licence: str = "not said",
    public_since: int | None = None,
    sha256: str = "",
) -> Task:
    """Return the problems of ``file:PATH``: JSON lines, JSON, CSV, TSV or Parquet, one problem a row.

    ``question``, ``answer``, ``ids`` and ``choices`` name columns; other columns are left alone. The answer of a row
    with choices (a list, or a text with ``|`` between them) is a letter or the text of one. A column ``form`` or the
    option says the answer form; without either it is ``choice`` where there are choices, ``number`` where all answers
    are numbers, else ``boxed``. With ``sha256`` (or its beginning, 8 characters or more) a file that has changed is
    refused. What stands in the file is data: it is put to the model as it is, and never evaluated.

    Raises ``ConfigurationError`` with the line for what is no problem.
    """
    path = Path(what).expanduser()
    if not what or not path.is_file():
        raise ConfigurationError(f"there is no file {what!r}; write file:PATH.jsonl, or PATH.csv")
    columns = Columns((question,), (answer,), (ids,), (choices,))
    label = name or path.name.partition(".")[0]
    return _task(path, label, str(path), columns, form, licence, public_since, sha256)


def from_hub(
    what: str,
    *,
    question: str = "question",
    answer: str = "answer",
    ids: str = "id",
    choices: str = "choices",
    form: str = "",
    name: str = "",
    licence: str = "see the data set's page",
    public_since: int | None = None,
    sha256: str = "",
) -> Task:
    """Return the problems of ``hub:OWNER/REPO@COMMIT/PATH``, a file of a data set; options as of ``from_file``.

    The commit is written in full: a branch may be another tomorrow. The file is fetched once and kept in the hub's
    own cache; ``HF_HUB_OFFLINE=1`` never fetches.
    """
    path = fetched(what)
    columns = Columns((question,), (answer,), (ids,), (choices,))
    label = name or what.partition("@")[0].rpartition("/")[2]
    source = f"huggingface.co/datasets/{what}"
    return _task(path, label, source, columns, form, licence, public_since, sha256)


def _task(
    path: Path,
    label: str,
    source: str,
    columns: Columns,
    form: str,
    licence: str,
    public_since: int | None,
    sha256: str,
) -> Task:
    check_form(form)
    found = checked(path, sha256)
    read = questions_of(read_rows(path), columns, form_name=form, prefix=label)
    return Task(
        slug(label),
        f"questions of {path.name}",
        source,
        licence,
        read.problems,
        by_answer(read.references),
        version=f"sha256 {found[:12]}",
        public_since=public_since,
        hidden=f"the answers in {path.name}",
        chance=read.chance,
        sampling=Sampling(max_tokens=1024),
    )
