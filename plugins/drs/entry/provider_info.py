"""What Airflow shows of this package: ``airflow providers list``, ``airflow config list --section drs``.

Every process of Airflow reads it, so it imports nothing of Airflow. There is no connection type: plans use
connections of the Amazon provider's type ``aws``.
"""

from __future__ import annotations

from typing import Any

from drs.setting_options import OPTIONS, SECTION, Option

INTEGRATION = "AWS Elastic Disaster Recovery"
OPERATORS = (
    "approve",
    "approve_cleanup",
    "begin",
    "evidence",
    "preflight",
    "readiness",
    "start_recovery",
    "terminate",
    "validate_servers",
    "verdict",
    "watch",
)


def get_provider_info() -> dict[str, Any]:
    """What the entry point ``apache_airflow_provider`` returns, in the form of Airflow's schema."""
    return {
        "package-name": "drs-drills",
        "name": "DRS drills",
        "description": "Disaster-recovery drills on AWS Elastic Disaster Recovery, as DAGs.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://github.com/drs-drills/drs-drills",
                "tags": ["service"],
            }
        ],
        "hooks": _modules("hook"),
        "operators": _modules(*(f"operators.{name}" for name in OPERATORS)),
        "sensors": _modules("sensors"),
        "triggers": _modules("triggers"),
        "config": {
            SECTION: {
                "description": "Drills of recovery plans on AWS Elastic Disaster Recovery (DRS).",
                "options": {name: _described(option) for name, option in OPTIONS.items()},
            }
        },
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    modules = [f"drs.tasks.{name}" for name in names]
    return [{"integration-name": INTEGRATION, "python-modules": modules}]


def _described(option: Option) -> dict[str, Any]:
    return {
        "description": option.description,
        "type": option.type,
        "default": option.default,
        "example": option.example,
        "version_added": option.since,
    }
