"""The drill as drs-drills runs it: a run of the plan's DAG, and what that run says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.campaign import people
from bench.campaign.judge import Verdict
from bench.campaign.mixes import Trouble
from bench.campaign.plans import Shape, neighbour
from bench.campaign.scheduler import Row, Run
from bench.campaign.world import World


def begin(world: World, trouble: Trouble) -> Callable[[], list[Verdict]]:
    """Start the drill, and let people act on it.

    :return: gives what every run said of itself, once all is over
    """
    run = world.start(world.shape, "drill")
    world.drill_actor = run.actor
    world.drill_neighbour = lambda: world.start(neighbour(), "other")
    for number, act in enumerate([people.answer_questions, *trouble.acts]):
        rng = world.rng(f"act {number}")
        world.join(lambda act=act, rng=rng: act(world, run, rng), act.__name__)  # type: ignore[misc]
    shapes = {shape.dag_id: shape for shape in (world.shape, neighbour())}

    def verdicts() -> list[Verdict]:
        return [_verdict(world, each, shapes[each.dag_id]) for each in world.runs]

    world.account.truth.keeps = lambda job_id: any(job_id in each.kept for each in verdicts())
    return verdicts


def _verdict(world: World, run: Run, shape: Shape) -> Verdict:
    last = run.rows["verdict"]
    rule = shape.plan.cleanup.when
    answer = run.answers.get("approve_cleanup")
    kept_by_answer = rule == "after_approval" and answer is not None and answer[0] == "Keep"
    cut_off = run.deleted and run.ended is None
    may_keep = rule in ("never", "on_success") or kept_by_answer
    clean_up = run.rows["terminate"].result or {}
    return Verdict(
        actor=run.actor,
        state="deleted" if cut_off else run.state,
        required=shape.required,
        waves_ended=_waves_ended(run.rows.values()),
        said="\n".join(row.error for row in run.rows.values()),
        red=run.said,
        end=last.error,
        # A rule keeps nothing by itself: clean-up must have followed it.
        kept=frozenset(clean_up["jobs"]) if may_keep and clean_up.get("kept") else frozenset(),
        kept_at=answer[1] if answer and kept_by_answer else None,
        # A run that is marked failed before its setup has run skips everything; Airflow calls it a success.
        coloured_by_hand=last.by_hand or (run.ended_by_person and last.state == "skipped"),
        goes_on=world.airflow.moves(run),
    )


def _waves_ended(rows: Iterable[Row]) -> float | None:
    ended = [row.succeeded_at for row in rows if row.task_id.endswith(".validate")]
    return max((at for at in ended if at is not None), default=None)
