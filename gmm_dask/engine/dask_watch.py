"""Watching one attempt of a pass: progress, its end, and what a loss is called."""

# mypy: allow-untyped-calls
from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from distributed import Client, Future
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from gmm_dask.engine.dask_roll import RollCall
from gmm_dask.engine.dask_wait import ANSWER, BROKEN, CANCELLED, NoAnswer, address, call, seconds
from gmm_dask.engine.partial import Partial
from gmm_dask.errors import DeadlineError, GmmDaskError


class Lost(Exception):  # noqa: N818
    """An attempt of a pass was lost to the cluster; repeating it may succeed.

    Parameters
    ----------
    reason : str
    key : object
        Task that was lost, if one is known.
    worker : str, optional
        Address of the last worker that died in it.
    """

    def __init__(self, reason: str, key: Any = None, worker: str | None = None) -> None:
        super().__init__(reason)
        self.key = key
        self.worker = worker


@dataclass
class Watch:
    """What is known about the progress of one attempt of a pass.

    Parameters
    ----------
    roll : RollCall
        Who works.
    token : str
        Part of the keys of the attempt's tasks.
    timeout : float
        Seconds without progress that end the wait.
    """

    roll: RollCall
    token: str
    timeout: float
    _tasks: frozenset[tuple[str, str]] = frozenset()
    _moved: float = field(default_factory=time.monotonic)

    @property
    def client(self) -> Client:
        """The client of the cluster."""
        return self.roll.client

    def tick(self) -> None:
        """Look whether tasks moved; raise once none did for `timeout` seconds.

        Raises
        ------
        DeadlineError
            If there was no progress.
        ClusterError
            If the client was closed.
        """
        self.roll.look(self.timeout)
        tasks = self._running()
        if tasks is not None and tasks != self._tasks and self.roll.workers:
            self._tasks, self._moved = tasks, time.monotonic()
        if time.monotonic() - self._moved > self.timeout:
            raise DeadlineError(self._standstill(tasks))

    def _running(self) -> frozenset[tuple[str, str]] | None:
        """Return (worker, key) of this attempt's tasks, None without an answer."""
        try:
            found = call(self.client, self.client.processing, min(self.timeout, ANSWER))
        except NoAnswer:
            return None
        pairs = ((worker, str(key)) for worker, keys in found.items() for key in keys)
        return frozenset(pair for pair in pairs if self.token in pair[1])

    def _standstill(self, tasks: frozenset[tuple[str, str]] | None) -> str:
        """Say what was awaited in vain."""
        where, span = address(self.client), seconds(self.timeout)
        workers = len(self.roll.workers)
        if tasks is None:
            return f"the scheduler at {where} did not answer for {span} during a pass"
        if not workers:
            return f"all workers of {where} are gone; waited {span} for one to come back"
        shown = ", ".join(f"{key.rsplit('-', 1)[-1]} on {worker}" for worker, key in sorted(tasks))
        return (
            f"no block was finished for {span} by {workers} workers of {where} (running: "
            f"{shown[:500] or 'nothing; paused for memory, or busy with other work?'}). A worker "
            "may be frozen, or a block takes longer: raise cluster.timeout or set a smaller "
            "block_rows. In a Dask task, run under worker_client()"
        )


def outcome(future: Future[Any], watch: Watch) -> Partial:
    """Return the result of a pass.

    Parameters
    ----------
    future : Future
        Root of the pass.
    watch : Watch

    Raises
    ------
    Lost
        If the cluster lost the attempt.
    DeadlineError, ClusterError
        If nothing moved for too long, or the client is closed.
    Exception
        Whatever a task raised.
    """
    done = Event()
    future.add_done_callback(lambda _: done.set())
    step = min(watch.timeout / 5, 2.0)
    while not done.wait(step):
        watch.tick()
    if future.status == "cancelled":
        raise Lost("the pass was cancelled: workers were restarted, or the scheduler was lost")
    try:
        if future.status == "error":
            error = future.exception(timeout=watch.timeout)
        else:
            result: Partial = future.result(timeout=watch.timeout)
            return result
    except GmmDaskError:
        raise
    except BROKEN as fault:
        raise Lost(f"the result did not arrive: {type(fault).__name__}: {fault}") from fault
    raise _translated(error)


def _translated(error: BaseException) -> BaseException:
    """Return a task's exception, or `Lost` where it tells of a lost worker."""
    if isinstance(error, KilledWorker):
        times = error.allowed_failures + 1
        worker = error.last_worker.address
        return Lost(f"{times} workers died in one task, the last {worker}", error.task, worker)
    if isinstance(error, (*CANCELLED, CommClosedError, TimeoutError, ConnectionError)):
        return Lost(f"{type(error).__name__}: {error}")
    return error


def memory_kills(client: Client, worker: str | None) -> list[int]:
    """Return the resident bytes at which nannies killed workers for memory.

    Parameters
    ----------
    client : Client
    worker : str or None
        Address of a worker; nothing is returned if it was not among those killed.
    """
    try:
        events = call(client, client.get_events, ANSWER, topic="worker-restart-memory")
    except NoAnswer:
        return []
    killed = [event for _, event in events or () if event["worker"] == worker]
    return [int(event["rss"]) for event in killed]
