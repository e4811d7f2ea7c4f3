"""What is asked of workers before the first pass: the package, its versions, the source."""

# mypy: allow-untyped-calls
from __future__ import annotations

import importlib.metadata
import importlib.util
import pkgutil
import platform
import socket
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distributed import Client
from threadpoolctl import threadpool_info

from gmm_dask.blocks import ArraySource, Source
from gmm_dask.engine.dask_placement import look_at
from gmm_dask.engine.dask_wait import NoAnswer, address, call, require_workers, seconds
from gmm_dask.errors import ClusterError, DeadlineError
from gmm_dask.version import __version__

PACKAGES = ("numpy", "scipy", "llvmlite", "zarr", "dask", "distributed")
NAMED = 3  # workers named in a message


def check_workers(
    client: Client, source: Source, timeout: float = 300.0, wait_for: int = 1
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

    Returns
    -------
    dict
        ``workers``, ``threads``, ``versions`` (of the driver, and so of all), ``cpus`` and
        ``blas`` (every kind found), in JSON types.

    Raises
    ------
    DeadlineError
        If too few workers came, or one did not answer in time.
    ClusterError
        If workers lack the package, have other versions or cannot read the source.

    Warns
    -----
    UserWarning
        If workers have different CPUs or BLAS kernels: results may then differ in the last bits.
    """
    require_workers(client, timeout, wait_for)
    _check_packages(client, timeout)
    found = _ask(client, probe, timeout)
    _check_failures(client, found)
    mine = probe()
    _check_versions(client, mine, found)
    _check_source(client, source, timeout)
    return _described(client, mine, found, timeout)


def probe() -> dict[str, Any]:
    """Return versions, CPU and BLAS of this process."""
    blas = {_blas(lib) for lib in threadpool_info() if lib["user_api"] == "blas"}
    return {
        "versions": {
            "python": ".".join(platform.python_version_tuple()[:2]),
            "gmm_dask": __version__,
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "cpu": _cpu(),
        "blas": sorted(blas),
        "host": socket.gethostname(),
    }


def _blas(lib: Mapping[str, Any]) -> str:
    """Return a BLAS in words: the architecture is the family of kernels it chose.

    Without its version: numpy and scipy may each bring one, and either may not be loaded yet.
    """
    return f"{lib['internal_api']} {lib.get('architecture', '')}".strip()


def _cpu() -> str:
    """Return the model of the CPU."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


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
    needed = ["gmm_dask"] + (["pipeline"] if importlib.util.find_spec("pipeline") else [])
    for package in needed:
        # a function of the standard library: one of ours could not be sent where we are missing
        name = f"{package}:__name__"
        found = _ask(client, pkgutil.resolve_name, timeout, name)
        found["the scheduler"] = _ask_scheduler(client, name, timeout)
        missing = [place for place, answer in found.items() if answer != package]
        if missing:
            raise ClusterError(
                f"{_places(missing, len(found))} of {address(client)} cannot import {package} "
                f"(driver {__version__}): {found[missing[0]]}. Use the same image or "
                "environment on all"
            )


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


def _check_versions(client: Client, mine: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise ClusterError if a worker has other versions than the driver."""
    wanted = mine["versions"]
    differing = {
        place: [
            f"{name} {wanted[name]} v {version}"
            for name, version in answer["versions"].items()
            if version != wanted[name]
        ]
        for place, answer in found.items()
    }
    places = [place for place, names in differing.items() if names]
    if places:
        listed = ", ".join(sorted({name for names in differing.values() for name in names}))
        raise ClusterError(
            f"{_places(places, len(found))} of {address(client)} have other versions than the "
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


def _described(
    client: Client, mine: Mapping[str, Any], found: Mapping[str, Any], timeout: float
) -> dict[str, Any]:
    """Return the manifest's account of the workers; warn if they are of several kinds."""
    cpus = sorted({answer["cpu"] for answer in found.values()})
    blas = sorted({"; ".join(answer["blas"]) for answer in found.values()})
    for word, kinds in (("CPUs", cpus), ("BLAS kernels", blas)):
        if len(kinds) > 1:
            message = (
                f"workers have different {word} ({', '.join(kinds)}): results may differ in the "
                "last bits from run to run"
            )
            warnings.warn(message, UserWarning, stacklevel=4)
    cluster = look_at(client, timeout)
    return {
        "workers": cluster.workers,
        "threads": cluster.threads,
        "versions": dict(mine["versions"]),
        "cpus": cpus,
        "blas": blas,
    }


def _places(places: list[str], total: int) -> str:
    """Return some addresses and how many there are."""
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"{len(places)} of {total} ({', '.join(places[:NAMED])}{more})"
