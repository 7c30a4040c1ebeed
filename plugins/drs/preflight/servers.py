"""The servers of a resolution: the wave of each, and how messages name them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from drs.run.records import Resolution, ResolvedServer
from drs.text.tables import first_of, named


class Servers:
    """The servers that a run is to launch.

    :param resolution: the servers of each wave
    """

    def __init__(self, resolution: Resolution) -> None:
        self._placed = {
            server.server_id: (wave, server)
            for wave, resolved in resolution.waves.items()
            for server in resolved.servers
        }

    def __iter__(self) -> Iterator[tuple[str, ResolvedServer]]:
        """Each server after the name of its wave, in the order of the waves."""
        return iter(self._placed.values())

    @property
    def ids(self) -> list[str]:
        return list(self._placed)

    def get(self, server_id: str | None) -> ResolvedServer | None:
        _, server = self._placed.get(server_id or "", (None, None))
        return server

    def wave_of(self, server_id: str) -> str:
        """The wave that launches this server.

        :raises KeyError: the run does not launch this server
        """
        return self._placed[server_id][0]

    def label(self, server_id: str) -> str:
        """``s-… (orders-db-1)``"""
        server = self.get(server_id)
        return named(server_id, server.name) if server and server.name != server_id else server_id

    def labels(self, server_ids: Iterable[str]) -> str:
        """The labels of the first servers, and how many more there are."""
        return first_of([self.label(server_id) for server_id in server_ids])
