"""Defines no Airflow DAG: raises one import error that lists every broken recovery plan.

Airflow drops all DAGs of a file that raises, so this file raises the errors and has no DAGs.
"""

from drs import settings
from drs.plan import BrokenPlan, load_folder

broken = [plan for plan in load_folder(settings.plans_folder()) if isinstance(plan, BrokenPlan)]
if broken:
    raise RuntimeError(
        "\n\n".join(
            [
                "Recovery plans that cannot be drilled until their files are fixed:",
                *(b.describe() for b in broken),
            ]
        )
    )
