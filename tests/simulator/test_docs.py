"""docs/simulator.md says what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from simulator.engine.faults import (
    FAULT,
    AgentFault,
    AnyCallFault,
    AnyLastingFault,
    Holder,
    JobFault,
    ReplicationChange,
)
from simulator.engine.fleet import Fleet, ServerTraits, Unknowns
from simulator.engine.launched import Commands, LaunchAction, Listener
from simulator.engine.operations import SIMULATED
from simulator.registration import refuse_unknown_operations

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(block)


def test_the_fleet_of_the_page_is_a_fleet() -> None:
    """One server and a series of 25."""
    fleet = Fleet.from_yaml(_block("yaml"), "docs")
    assert len(fleet.accounts["111122223333"].regions["us-east-1"].servers) == 26


def test_the_example_of_the_page_runs() -> None:
    """As a test of its own."""
    names: dict[str, object] = {}
    exec(_block("python"), names)
    example = names["test_a_drill"]
    assert callable(example)
    example()


@pytest.mark.parametrize(
    "name",
    [
        *(
            kind.model_fields["kind"].default
            for kind in (
                *get_args(JobFault),
                *get_args(AgentFault),
                *get_args(AnyLastingFault),
                *get_args(AnyCallFault),
                *get_args(Holder),
                ReplicationChange,
            )
        ),
        *Unknowns.model_fields,
    ],
)
def test_every_fault_and_unknown_has_a_row(name: str) -> None:
    """With what it does."""
    assert f"\n| `{name}` |" in PAGE


@pytest.mark.parametrize(
    "name",
    [*ServerTraits.model_fields, *Listener.model_fields, *Commands.model_fields, *LaunchAction.model_fields],
)
def test_every_trait_of_a_server_stands_in_the_fleet_of_the_page(name: str) -> None:
    """By its key."""
    assert re.search(rf"[\s{{]{name}:", _block("yaml"))


@pytest.mark.parametrize("fault", re.findall(r'`(\{"kind".*?\})`', PAGE))
def test_every_fault_of_the_text_can_be_armed(fault: str) -> None:
    """Its operations exist."""
    refuse_unknown_operations([FAULT.validate_json(fault)])


def test_every_operation_is_listed() -> None:
    """All that is simulated."""
    assert all(operation in PAGE for operation in SIMULATED)
