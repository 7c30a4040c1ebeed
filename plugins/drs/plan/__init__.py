"""Recovery plans: a YAML file becomes a frozen, validated plan, or a list of everything that is wrong with
it.
"""

from drs.plan.loader import load_folder, load_plan
from drs.plan.model import Approval, Cleanup, Launch, Notifications, Plan, ProtectionGroup, Target, Wave
from drs.plan.problems import BrokenPlan, PlanError, PlanProblem

__all__ = [
    "Approval",
    "BrokenPlan",
    "Cleanup",
    "Launch",
    "Notifications",
    "Plan",
    "PlanError",
    "PlanProblem",
    "ProtectionGroup",
    "Target",
    "Wave",
    "load_folder",
    "load_plan",
]
