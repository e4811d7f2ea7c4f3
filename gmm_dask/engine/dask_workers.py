"""What is asked of workers before the first pass: the package, its versions, the source."""

# mypy: allow-untyped-calls
from __future__ import annotations

import importlib.util
import pkgutil
import socket
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from distributed import Client

from gmm_dask.blocks import ArraySource, Source
from gmm_dask.engine.dask_placement import look_at
from gmm_dask.engine.dask_wait import NoAnswer, address, call, require_workers, seconds
from gmm_dask.engine.platform import FOR_PEOPLE, OWN, PACKAGES, STRICT, joined, platform_facts
from gmm_dask.errors import ClusterError, DeadlineError, PlatformWarning
from gmm_dask.version import __version__

NAMED = 3  # workers named in a message

Facts = Mapping[str, str]


def check_workers(
    client: Client,
    source: Source,
    timeout: float = 300.0,
    wait_for: int = 1,
    describe: Callable[[], Facts] = platform_facts,
) -> dict[str, Any]:
    """Ask every worker whether it can take part, and describe them for the manifest.

    Parameters
    ----------
    client : distributed.Client
    source : Source
        Each worker reads its first row.
    timeout : float
        Seconds for each question.
    wait_for : int
        Workers to wait for first.
    describe : callable
        Returns what results of the process that calls it rest on; asked of each worker and here.

    Returns
    -------
    dict
        ``workers``, ``threads``, ``rests_on`` (what was described, every kind found, the driver's
        included) and ``warnings`` (sentences), in JSON types.

    Raises
    ------
    DeadlineError
        If too few workers came, or one did not answer in time.
    ClusterError
        If workers lack the package, have another version or other code of it, or cannot read the
        source.

    Warns
    -----
    PlatformWarning
        If workers have other versions of other packages than the driver, or different processors
        or BLAS among themselves: results may then differ in the last bits.
    """
    require_workers(client, timeout, wait_for)
    _check_packages(client, timeout)
    found = _ask(client, describe, timeout)
    _check_failures(client, found)
    mine = describe()
    _check_code(client, mine, found)
    _check_source(client, source, timeout)
    cluster = look_at(client, timeout)
    told = list(differences(mine, found))
    for sentence in told:
        warnings.warn(sentence, PlatformWarning, stacklevel=2)
    return {
        "workers": cluster.workers,
        "threads": cluster.threads,
        "rests_on": joined([mine, *found.values()]),
        "warnings": told,
    }


def try_source(source: Source) -> str | None:
    """Return why the first row of a source cannot be read here, or None if it can."""
    try:
        source.read(0, 1)
    except Exception as error:
        return f"{socket.gethostname()}: {type(error).__name__}: {error}"
    return None


def _ask(client: Client, function: Callable[..., Any], timeout: float, *args: Any) -> Any:
    """Return ``function(*args)`` of every worker by address; exceptions are values."""

    async def run() -> Any:
        return await client.run(function, *args, on_error="return")

    try:
        return call(client, run, timeout)
    except NoAnswer as error:
        raise DeadlineError(
            f"not all workers of {address(client)} answered within {seconds(timeout)}: one may be "
            "frozen or gone; remove it, or raise cluster.timeout"
        ) from error


def _check_packages(client: Client, timeout: float) -> None:
    """Raise ClusterError unless workers and scheduler can import what tasks are made of."""
    for package in filter(importlib.util.find_spec, OWN):
        # a function of the standard library: one of ours could not be sent where we are missing,
        # or are so old that it is not there
        name = f"{package}:__version__" if package == "gmm_dask" else f"{package}:__name__"
        expected = __version__ if package == "gmm_dask" else package
        found = _ask(client, pkgutil.resolve_name, timeout, name)
        found["the scheduler"] = _ask_scheduler(client, name, timeout)
        missing = [place for place, answer in found.items() if not isinstance(answer, str)]
        if missing:
            raise ClusterError(
                f"{_places(missing, len(found))} of {address(client)} cannot import {package} "
                f"(driver {__version__}): {found[missing[0]]}. Use the same image or "
                "environment on all"
            )
        others = {
            place: [f"{package} {expected} v {answer}"]
            for place, answer in found.items()
            if answer != expected
        }
        _refuse(client, others, len(found))


def _ask_scheduler(client: Client, name: str, timeout: float) -> Any:
    """Return what the scheduler finds under a name, or the exception."""
    try:
        return call(client, _on_scheduler(client), timeout, name=name)
    except Exception as error:
        return error


def _on_scheduler(client: Client) -> Callable[..., Any]:
    """Return a coroutine function that resolves a name on the scheduler."""

    async def run(name: str) -> Any:
        return await client.run_on_scheduler(pkgutil.resolve_name, name)

    return run


def _check_failures(client: Client, found: Mapping[str, Any]) -> None:
    """Raise ClusterError if a worker could not answer."""
    failed = {place: answer for place, answer in found.items() if isinstance(answer, Exception)}
    if failed:
        place, error = next(iter(failed.items()))
        raise ClusterError(
            f"{_places(list(failed), len(found))} of {address(client)} cannot run the package: "
            f"{error} ({place}). Use the same image or environment on all"
        )


def _check_code(client: Client, mine: Facts, found: Mapping[str, Facts]) -> None:
    """Raise ClusterError if a worker has other code than the driver."""
    differing = {
        place: [
            f"{name} {mine.get(name, 'none')} v {facts.get(name, 'none')}"
            for name in STRICT
            if mine.get(name) != facts.get(name)
        ]
        for place, facts in found.items()
    }
    _refuse(client, {place: names for place, names in differing.items() if names}, len(found))


def _refuse(client: Client, differing: Mapping[str, list[str]], total: int) -> None:
    """Raise ClusterError if there are places where something differs from the driver."""
    if differing:
        listed = ", ".join(sorted({name for names in differing.values() for name in names}))
        raise ClusterError(
            f"{_places(list(differing), total)} of {address(client)} have other versions than the "
            f"driver: {listed} (driver v worker). Use the same image or environment on all"
        )


def _check_source(client: Client, source: Source, timeout: float) -> None:
    """Raise ClusterError if a worker cannot read the source; rows that travel need no path."""
    if isinstance(source, ArraySource) or getattr(source, "is_persisted", False):
        return
    found = _ask(client, try_source, timeout, source)
    failed = {place: answer for place, answer in found.items() if answer is not None}
    if failed:
        reasons = "; ".join(sorted({str(answer) for answer in failed.values()})[:NAMED])
        raise ClusterError(
            f"{len(failed)} of {len(found)} workers cannot open the source ({reasons}). "
            "Use a path that all workers share, or a URL"
        )


def differences(mine: Facts, found: Mapping[str, Facts]) -> Iterator[str]:
    """Yield a sentence for each fact in which workers differ, naming workers.

    Packages must be those of the driver. Of processor and BLAS only the workers' own count: a
    driver of another kind does the same share of every pass.
    """
    for name in dict.fromkeys(name for facts in found.values() for name in facts):
        if name in (*STRICT, *FOR_PEOPLE):
            continue
        kinds = defaultdict(list)
        for place, facts in found.items():
            kinds[facts.get(name, "none")].append(place)
        allowed = {mine.get(name, "none")} if name in PACKAGES else set()
        if len({*kinds, *allowed}) > 1:
            by_driver = f" (driver {mine.get(name, 'none')})" if allowed else ""
            listed = "; ".join(
                f"{kind} on {_places(places, len(found))}" for kind, places in sorted(kinds.items())
            )
            yield (
                f"workers have different {name}: {listed}{by_driver}. Sums may differ in the last "
                "bits from run to run; use the same kind of machine and environment on all"
            )


def _places(places: list[str], total: int) -> str:
    """Return some addresses and how many there are."""
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"{len(places)} of {total} ({', '.join(places[:NAMED])}{more})"
