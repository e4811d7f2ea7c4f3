"""Questions to a cluster: every wait has a deadline."""

# mypy: allow-untyped-calls
from __future__ import annotations

import asyncio
import concurrent.futures
import pkgutil
import time
from collections.abc import Callable
from typing import Any

from distributed import Client

from gmm_dask.errors import ClusterError, DeadlineError

CANCELLED = (concurrent.futures.CancelledError, asyncio.CancelledError)
ANSWER = 5.0  # seconds for a question that can be asked again
# what a call on a closed, dead or hanging connection raises; OSError holds TimeoutError and
# CommClosedError. Errors of this package are some of these too, and must be let through first.
BROKEN = (OSError, RuntimeError, *CANCELLED)


class NoAnswer(Exception):  # noqa: N818
    """The scheduler did not answer a question in time, or the connection broke."""


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


def require_package(client: Client) -> None:
    """Refuse workers that cannot import this package.

    A worker that is sent what it cannot import does not fail the task: it leaves, for good, and a
    pass would wait for its return in vain. Workers that do not answer, as they die or start, are
    no reason to refuse; the pass itself finds out.

    Raises
    ------
    ClusterError
        If a worker lacks the package.
    """

    async def run() -> Any:
        # a function of the standard library: one of ours could not be sent where we are missing
        return await client.run(pkgutil.resolve_name, "gmm_dask:__name__", on_error="return")

    try:
        found = call(client, run, ANSWER)
    except NoAnswer:
        return
    missing = [place for place, answer in found.items() if isinstance(answer, ImportError)]
    if missing:
        raise ClusterError(
            f"{len(missing)} of {len(found)} workers of {address(client)} cannot import gmm_dask "
            f"({missing[0]}: {found[missing[0]]}). Use the same image or environment on all"
        )


def seconds(duration: float) -> str:
    """Return a duration in words, such as ``5 min``."""
    whole = duration >= 120 and duration % 60 == 0
    return f"{duration / 60:.0f} min" if whole else f"{duration:.3g} s"
