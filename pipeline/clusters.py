"""Where the passes run: a cluster on this machine, or an existing scheduler."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from gmm_dask import ClusterError, ConfigError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ClusterSettings:
    """The ``cluster`` section in plain values.

    Parameters
    ----------
    type : {"local", "address"}
    address, scheduler_file : str, optional
        Exactly one, for type address.
    n_workers, threads_per_worker : int, optional
        Of a local cluster; default one process a core, one thread each.
    memory_limit : str
        Of each local worker.
    timeout : float
        Seconds to wait for the scheduler.
    security : mapping, optional
        Files ``ca``, ``cert`` and ``key``.
    options : mapping
        Verbatim to ``LocalCluster``.
    """

    type: str = "local"
    address: str | None = None
    scheduler_file: str | None = None
    n_workers: int | None = None
    threads_per_worker: int | None = None
    memory_limit: Any = "auto"
    timeout: float = 300.0
    security: Mapping[str, str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def open_client(settings: ClusterSettings) -> Iterator[Any]:
    """Yield a client, and close what was opened.

    Raises
    ------
    ClusterError
        No scheduler answers, or a local cluster cannot be started.
    """
    if settings.type == "address":
        yield from _existing(settings)
    else:
        yield from _local(settings)


def _local(settings: ClusterSettings) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    # a frozen worker should not hold a pass for five minutes, and a preempted one is no suspect
    quiet = {
        "distributed.scheduler.worker-ttl": "60s",
        "distributed.scheduler.allowed-failures": 5,
        "distributed.scheduler.no-workers-timeout": f"{settings.timeout}s",
    }
    with dask.config.set(quiet):
        options = _local_options(settings)
        try:
            cluster = LocalCluster(**options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"cluster.options: LocalCluster refuses them: {error}") from error
        except (OSError, RuntimeError, TimeoutError) as error:
            raise ClusterError(f"cannot start a local cluster: {error}") from error
        client = None
        try:
            client = Client(cluster, timeout=settings.timeout)
            yield client
        finally:
            _close(client, cluster)


def _local_options(settings: ClusterSettings) -> dict[str, Any]:
    dashboard = f"{LOOPBACK}:8787" if importlib.util.find_spec("bokeh") else None
    options = {
        "n_workers": settings.n_workers,
        "threads_per_worker": settings.threads_per_worker or 1,
        "memory_limit": settings.memory_limit,
        "processes": True,
        "host": LOOPBACK,
        "dashboard_address": dashboard,
        "silence_logs": logging.ERROR,
    }
    return {**options, **settings.options}


def _close(client: Any, cluster: Any) -> None:
    with suppress(Exception):  # the work is done or lost already; closing must not hide that
        if client is not None:
            client.close(timeout=5)
    with suppress(Exception):
        cluster.close(timeout=5)


def _existing(settings: ClusterSettings) -> Iterator[Any]:
    from distributed import Client

    where = settings.address or settings.scheduler_file
    options: dict[str, Any] = {"timeout": settings.timeout, "set_as_default": True}
    if settings.security:
        options["security"] = _security(settings.security)
    target = {"scheduler_file": settings.scheduler_file} if settings.scheduler_file else {}
    try:
        client = Client(settings.address, **target, **options)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"no scheduler answers at {where} within {settings.timeout:g} s: {error}. Is it "
            "running, and reachable from here? Nothing is lost: run again later."
        ) from error
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=5)


def _security(files: Mapping[str, str]) -> Any:
    from distributed.security import Security

    return Security(
        tls_ca_file=files["ca"],
        tls_client_cert=files["cert"],
        tls_client_key=files["key"],
        require_encryption=True,
    )
