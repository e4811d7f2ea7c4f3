"""Who works and who left, counted across the passes of an engine."""

# mypy: allow-untyped-calls
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distributed import Client

from gmm_dask.engine.dask_wait import ANSWER, NoAnswer, call, worker_threads


@dataclass
class RollCall:
    """The workers of a cluster, and how many have left since the last pass was recorded.

    A worker may leave between two passes, or come and leave again between two looks, so the
    scheduler's own log of departures is counted. It is asked for once the list of workers has
    changed.

    Parameters
    ----------
    client : distributed.Client
    workers : frozenset of str
        Addresses at the last look.
    lost : int
        Workers that left since the last `take`.
    """

    client: Client
    workers: frozenset[str] = frozenset()
    lost: int = 0
    _counted_until: float | None = None

    def look(self, timeout: float) -> None:
        """Ask the scheduler who is there; without an answer all stays as it was."""
        limit = min(timeout, ANSWER)
        found = worker_threads(self.client, limit)
        if found is None:
            return
        if (frozenset(found) == self.workers and not self.lost) or self._count(limit):
            self.workers = frozenset(found)

    def take(self) -> int:
        """Return the workers lost since the last call, and count anew."""
        lost, self.lost = self.lost, 0
        return lost

    def _count(self, timeout: float) -> bool:
        """Count the departures logged since the last time; return whether there was an answer."""
        try:
            log: Any = call(self.client, self.client.get_events, timeout, topic="all") or ()
        except NoAnswer:
            return False
        if self._counted_until is not None:  # who left before the first look was never ours
            left = [at for at, event in log if _is_departure(event)]
            self.lost += sum(at > self._counted_until for at in left)
        self._counted_until = max((at for at, _ in log), default=self._counted_until or 0.0)
        return True


def _is_departure(event: Any) -> bool:
    """Return whether an event of the scheduler's log tells of a worker that left."""
    return isinstance(event, dict) and event.get("action") == "remove-worker"
