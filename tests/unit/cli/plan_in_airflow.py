"""A simulated Airflow with a plan's DAG and its runs: it marks, pauses and ends runs as Airflow does."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from drs.plan.naming import dag_id
from drs.run.ledger import Ledger
from drs.run.proof import CLOSING_TASKS
from drs.run.records import RunRecord
from tests.unit.drill import MemoryStore, make_plan, make_run
from tests.unit.fake_airflow import Answer, FakeAirflow

Query = dict[str, list[str]]
WAVES = ("database", "application")
TASKS = ("start_recovery", "wait_until_started", "wait_until_launched", "validate")
WAVE_TASKS = [f"wave_{wave}.{task}" for wave in WAVES for task in TASKS]
RUNNING = frozenset({"running", "deferred", "awaiting_input"})
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed"})


@dataclass
class RunInAirflow:
    """A run, its tasks' states and its records."""

    run_id: str
    state: str = "running"
    tasks: dict[str, str | None] = field(default_factory=dict)
    store: MemoryStore = field(default_factory=MemoryStore)
    conf: dict[str, Any] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    """How clean-up, evidence and verdict end, if not with a verdict that failed."""
    stays: bool = False
    """The run never ends."""

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.store)

    def mark_failed(self) -> None:
        for task, state in self.tasks.items():
            if task not in CLOSING_TASKS and state not in ENDED:
                self.tasks[task] = "failed" if state in RUNNING else "skipped"

    def move_on(self) -> None:
        """What the scheduler does once every wave has ended."""
        waiting = [task for task in self.tasks if task not in CLOSING_TASKS and self.tasks[task] not in ENDED]
        if waiting or self.stays:
            return
        if self.tasks["open"] == "success":
            closed = {"terminate": "success", "evidence": "success", "verdict": "failed", **self.ends}
        else:
            closed = dict.fromkeys(CLOSING_TASKS, "skipped")
        self.tasks.update(closed)
        self.state = "failed" if self.tasks["verdict"] == "failed" else "success"


def mid_wave() -> dict[str, str | None]:
    """The tasks of a run that waits for the launch of its first wave."""
    begun = dict.fromkeys(["open", "begin", "preflight", *WAVE_TASKS[:2]], "success")
    waiting = {WAVE_TASKS[2]: "deferred", **dict.fromkeys(WAVE_TASKS[3:])}
    return {**begun, **waiting, **dict.fromkeys(["terminate", "evidence", "verdict"])}


class PlanInAirflow:
    """The DAG of the plan orders."""

    def __init__(self, fake: FakeAirflow, plan: str = "orders") -> None:
        self.fake = fake
        self.plan = plan
        self.dag_id = dag_id(plan)
        self.path = f"/api/v2/dags/{self.dag_id}"
        self.paused = False
        self.stale = False
        self.runs: dict[str, RunInAirflow] = {}
        fake.answers |= {
            f"GET {self.path}": lambda _: self._dag(),
            f"PATCH {self.path}": lambda _: self._patch_dag(),
            f"GET {self.path}/dagRuns": self._list,
            "/api/v2/monitor/health": lambda _: (200, {part: {"status": "healthy"} for part in PARTS}),
            "/ui/auth/me": lambda _: (200, {"id": "1", "username": "ada"}),
        }

    def record(self, run_id: str, **fields: Any) -> RunRecord:
        return make_run(fields.pop("of", None) or make_plan(name=self.plan), run_id=run_id, **fields)

    def add(self, run_id: str, record: RunRecord | None = None, **fields: Any) -> RunInAirflow:
        """Add a run, which by default waits for the launch of its first wave."""
        run = RunInAirflow(run_id, **{"tasks": mid_wave(), **fields})
        if record is not None:
            run.ledger.save_run(record)
        self.runs[run_id] = run
        path = f"{self.path}/dagRuns/{run_id}"
        tasks = f"{path}/taskInstances"
        self.fake.answers |= {
            f"GET {path}": lambda _: self._look(run),
            f"PATCH {path}": lambda _: self._mark(run),
            f"GET {tasks}": lambda _: (200, self._instances(run)),
            f"PATCH {tasks}/open": lambda _: self._mark_open(run),
            f"POST {tasks}/begin/xcomEntries": lambda _: self._add_xcom(run),
        }
        self._show_xcoms(run)
        return run

    def marked(self) -> list[str]:
        """The ids of the runs that were marked as failed, in that order."""
        asked = [(method, path) for method, path, _, body in self.fake.asked if body == {"state": "failed"}]
        return [path.rpartition("/")[2] for method, path in asked if method == "PATCH"]

    def _dag(self) -> Answer:
        return 200, {
            "dag_id": self.dag_id,
            "is_paused": self.paused,
            "is_stale": self.stale,
            "file_token": "",
        }

    def _patch_dag(self) -> Answer:
        self.paused = self.fake.asked[-1][3]["is_paused"]
        return self._dag()

    def _list(self, query: Query) -> Answer:
        wanted = query.get("state")
        found = [self._json(run) for run in self.runs.values() if not wanted or run.state in wanted]
        return 200, {"dag_runs": found[::-1], "total_entries": len(found)}

    def _look(self, run: RunInAirflow) -> Answer:
        if not (self.paused or self.stale) and run.state in {"running", "queued"}:
            run.move_on()
        return 200, self._json(run)

    def _json(self, run: RunInAirflow) -> dict[str, Any]:
        return {
            "dag_id": self.dag_id,
            "dag_run_id": run.run_id,
            "state": run.state,
            "run_type": "manual",
            "run_after": f"2026-03-01T06:00:{list(self.runs).index(run.run_id):02}Z",
            "queued_at": None,
            "start_date": "2026-03-01T06:00:00Z",
            "end_date": "2026-03-01T06:30:00Z",
            "triggering_user_name": "ada",
            "conf": run.conf,
        }

    def _mark(self, run: RunInAirflow) -> Answer:
        run.mark_failed()
        return 200, self._json(run)

    def _mark_open(self, run: RunInAirflow) -> Answer:
        if run.tasks["open"] == "success":
            return 409, {"detail": "Task id open is already in success state"}
        run.tasks["open"] = "success"
        return 200, self._instances(run)

    def _instances(self, run: RunInAirflow) -> dict[str, Any]:
        self._show_xcoms(run)
        found = [
            {
                "task_id": task_id,
                "map_index": -1,
                "state": state,
                "try_number": 1,
                "start_date": None,
                "end_date": None,
            }
            for task_id, state in run.tasks.items()
        ]
        return {"task_instances": found, "total_entries": len(found)}

    def _add_xcom(self, run: RunInAirflow) -> Answer:
        entry = self.fake.asked[-1][3]
        if run.store.get(entry["key"]) is not None:
            return 409, {"detail": f"The XCom with key: `{entry['key']}` already exists."}
        run.store.set(entry["key"], entry["value"])
        self._show_xcoms(run)
        return 201, entry

    def _show_xcoms(self, run: RunInAirflow) -> None:
        for key in run.store.values:
            path = f"{self.path}/dagRuns/{run.run_id}/taskInstances/begin/xcomEntries/{key}"
            self.fake.answers[f"GET {path}"] = partial(_xcom, run, key)


def _xcom(run: RunInAirflow, key: str, _: Query) -> Answer:
    return 200, {"value": run.store.get(key)}


PARTS = ("scheduler", "triggerer")
