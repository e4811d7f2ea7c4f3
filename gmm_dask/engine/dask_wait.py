"""Waiting on a cluster: every wait has a deadline, every loss a name."""

# mypy: allow-untyped-calls
from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from distributed import Client, Future
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from gmm_dask.engine.partial import Partial
from gmm_dask.errors import ClusterError, DeadlineError, GmmDaskError

CANCELLED = (concurrent.futures.CancelledError, asyncio.CancelledError)
# what a call on a closed, dead or hanging connection raises; OSError holds TimeoutError and
# CommClosedError. Errors of this package are some of these too, and must be let through first.
BROKEN = (OSError, RuntimeError, *CANCELLED)


class NoAnswer(Exception):  # noqa: N818
    """The scheduler did not answer a question in time, or the connection broke."""


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


def call(client: Client, function: Callable[..., Any], timeout: float, **arguments: Any) -> Any:
    """Return what a client's method answers, or raise within `timeout` seconds.

    Raises
    ------
    ClusterError
        If the client is closed.
    NoAnswer
        If none came.
    """
    if client.status in ("closing", "closed"):
        raise ClusterError(
            f"the client of {address(client)} is closed: the scheduler ended or the client was "
            "closed during the work; connect again and repeat, a checkpoint goes on from its pass"
        )

    async def asked() -> Any:
        return await function(**arguments)

    try:
        return client.sync(asked, callback_timeout=timeout)
    except BROKEN as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error


def address(client: Client) -> str:
    """Return the scheduler's address, for messages."""
    return str(getattr(client.scheduler, "address", None) or "a closed connection")


def worker_threads(client: Client, timeout: float) -> dict[str, int] | None:
    """Return the threads of each worker by address, or None if the scheduler does not answer."""
    try:
        answer: dict[str, int] = call(client, client.nthreads, timeout)
    except NoAnswer:
        return None
    return answer


def require_workers(client: Client, timeout: float, wait_for: int = 1) -> dict[str, int]:
    """Return the threads of each worker, once there are enough of them.

    Parameters
    ----------
    client : Client
    timeout : float
        Seconds.
    wait_for : int
        Workers needed.

    Raises
    ------
    DeadlineError
        If too few workers came in time.
    ClusterError
        If the scheduler did not answer in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        workers = worker_threads(client, max(min(left, 5.0), 0.1))
        if workers is not None and len(workers) >= wait_for:
            return workers
        if left <= 0:
            break
        time.sleep(min(0.1, max(left, 0)))
    if workers is None:
        raise ClusterError(
            f"the scheduler at {address(client)} did not answer for {seconds(timeout)}; start it "
            "again and repeat, a checkpoint goes on from its pass"
        )
    raise DeadlineError(
        f"waited {seconds(timeout)} for {wait_for} workers at {address(client)}; {len(workers)} "
        "came. Raise cluster.timeout, or run again later: nothing is lost"
    )


def seconds(duration: float) -> str:
    """Return a duration in words, such as ``5 min``."""
    whole = duration >= 120 and duration % 60 == 0
    return f"{duration / 60:.0f} min" if whole else f"{duration:.3g} s"


@dataclass
class Watch:
    """What is known about the progress of one attempt of a pass.

    Parameters
    ----------
    client : Client
    token : str
        Part of the keys of the attempt's tasks.
    timeout : float
        Seconds without progress that end the wait.
    """

    client: Client
    token: str
    timeout: float
    workers: set[str] = field(default_factory=set)
    lost: int = 0
    _tasks: frozenset[tuple[str, str]] = frozenset()
    _moved: float = field(default_factory=time.monotonic)

    def roll_call(self) -> None:
        """Count the workers that left since the last call."""
        found = worker_threads(self.client, min(self.timeout, 5.0))
        if found is not None:
            self.lost += len(self.workers - set(found))
            self.workers = set(found)

    def tick(self) -> None:
        """Look whether tasks moved; raise once none did for `timeout` seconds.

        Raises
        ------
        DeadlineError
            If there was no progress.
        ClusterError
            If the client was closed.
        """
        self.roll_call()
        tasks = self._running()
        if tasks is not None and tasks != self._tasks and self.workers:
            self._tasks, self._moved = tasks, time.monotonic()
        if time.monotonic() - self._moved > self.timeout:
            raise DeadlineError(self._standstill(tasks))

    def _running(self) -> frozenset[tuple[str, str]] | None:
        """Return (worker, key) of this attempt's tasks, None without an answer."""
        try:
            found = call(self.client, self.client.processing, min(self.timeout, 5.0))
        except NoAnswer:
            return None
        pairs = ((worker, str(key)) for worker, keys in found.items() for key in keys)
        return frozenset(pair for pair in pairs if self.token in pair[1])

    def _standstill(self, tasks: frozenset[tuple[str, str]] | None) -> str:
        """Say what was awaited in vain."""
        where, span = address(self.client), seconds(self.timeout)
        if tasks is None:
            return f"the scheduler at {where} did not answer for {span} during a pass"
        if not self.workers:
            return f"all workers of {where} are gone; waited {span} for one to come back"
        shown = ", ".join(f"{key.rsplit('-', 1)[-1]} on {worker}" for worker, key in sorted(tasks))
        return (
            f"no block was finished for {span} by {len(self.workers)} workers of {where} (running: "
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
        events = call(client, client.get_events, 5.0, topic="worker-restart-memory")
    except NoAnswer:
        return []
    killed = [event for _, event in events or () if event["worker"] == worker]
    return [int(event["rss"]) for event in killed]
