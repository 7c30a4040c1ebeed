"""Recovery plans: YAML files become frozen, validated plans, or a list of all that is wrong with them."""

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
