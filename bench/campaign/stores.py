"""What a drill stores, in memory: Airflow's XComs, Variables and task state store, and evidence.

Airflow's values pass through JSON.
"""

from __future__ import annotations

import json
from typing import Any

Place = tuple[str, str, str]
"""DAG, run, task."""


class XComs:
    """The XComs of all runs."""

    def __init__(self) -> None:
        self._values: dict[Place, dict[str, str]] = {}

    def get(self, place: Place, key: str) -> Any:
        text = self._values.get(place, {}).get(key)
        return None if text is None else json.loads(text)

    def set(self, place: Place, key: str, value: Any) -> None:
        self._values.setdefault(place, {})[key] = json.dumps(value)

    def keys(self, place: Place) -> list[str]:
        return list(self._values.get(place, ()))

    def delete(self, place: Place, keys: list[str] | None = None) -> None:
        """Delete these XComs of a task, or all of them."""
        for key in self.keys(place) if keys is None else keys:
            self._values.get(place, {}).pop(key, None)

    def forget_dag(self, dag_id: str) -> None:
        self._values = {place: values for place, values in self._values.items() if place[0] != dag_id}


class Variables:
    """Airflow's Variables. They have the methods of ``airflow.sdk.Variable``."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, key: str, default: Any = None, deserialize_json: bool = False) -> Any:
        if key not in self._values:
            return default
        return json.loads(self._values[key]) if deserialize_json else self._values[key]

    def set(self, key: str, value: Any, description: str | None = None, serialize_json: bool = False) -> None:
        self._values[key] = json.dumps(value) if serialize_json else str(value)

    def delete(self, key: str) -> None:
        self._values.pop(key, None)

    def keys(self, prefix: str | None = None) -> list[str]:
        return [key for key in self._values if key.startswith(prefix or "")]


class TaskStates:
    """The state store of one task in one run. Neither a retry nor clearing empties it."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self._values[key]) if key in self._values else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self._values.pop(key, None)


class MemoryStorage:
    """Evidence in memory."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def __str__(self) -> str:
        return "memory"

    def check(self) -> None:
        """It is always there."""

    def read(self, name: str) -> bytes | None:
        return self._files.get(name)

    def names(self, folder: str) -> list[str]:
        prefix = f"{folder}/" if folder else ""
        return sorted(
            {name.removeprefix(prefix).split("/")[0] for name in self._files if name.startswith(prefix)}
        )

    def create(self, name: str, data: bytes) -> None:
        if name in self._files:
            raise FileExistsError(name)
        self._files[name] = data

    def replace(self, name: str, data: bytes) -> None:
        self._files[name] = data

    def swap(self, name: str, data: bytes, seen: bytes | None) -> None:
        if self._files.get(name) != seen:
            raise FileExistsError(name)
        self._files[name] = data
