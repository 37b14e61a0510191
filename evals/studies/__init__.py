"""Studies: arms at budgets over tasks, run so that nothing is lost, and read as points."""

from thinkctl.evals.studies.planning import Plan, plan_study
from thinkctl.evals.studies.results import StudyResults, open_study
from thinkctl.evals.studies.running import News, open_engine, run_study, run_study_async
from thinkctl.evals.studies.spec import ArmSpec, Claim, ModelSpec, Study, TaskSpec, dump_study, load_study

__all__ = [
    "ArmSpec",
    "Claim",
    "ModelSpec",
    "News",
    "Plan",
    "Study",
    "StudyResults",
    "TaskSpec",
    "dump_study",
    "load_study",
    "open_engine",
    "open_study",
    "plan_study",
    "run_study",
    "run_study_async",
]
