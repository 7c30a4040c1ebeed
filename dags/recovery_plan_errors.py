"""Defines no Airflow DAG: raises one import error that lists every broken recovery plan.

A file that raises loses all of its DAGs, so the errors are told by a file that has none.
"""

from drs import settings
from drs.plan import BrokenPlan, load_folder

broken = [plan for plan in load_folder(settings.plans_folder()) if isinstance(plan, BrokenPlan)]
if broken:
    raise RuntimeError(
        "\n\n".join(
            ["Recovery plans that cannot be drilled until they are mended:", *(b.describe() for b in broken)]
        )
    )
