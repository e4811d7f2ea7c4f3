"""Where the passes run: a cluster on this machine, or an existing scheduler."""

# mypy: allow-untyped-calls
from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from gmm_dask import ClusterError, ConfigError
from pipeline.schedulers import meet, scheduler_address, security_of

LOOPBACK = "127.0.0.1"
DASHBOARD = 8787
# Options of LocalCluster that say where its servers listen.
EXPOSING = {"host", "interface", "dashboard_address"}


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
    check : callable
        Raises ConfigError for the address of a scheduler that must not be connected to.
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
    check: Callable[[str], None] = lambda _: None


@contextmanager
def open_client(settings: ClusterSettings) -> Iterator[Any]:
    """Yield a client, and close what was opened.

    Raises
    ------
    ConfigError
        An address or option that can never work, or a connection that is not encrypted.
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
        # a killed worker that is slow to come back must not be given up for good
        "distributed.deploy.lost-worker-timeout": "10m",
    }
    with dask.config.set(quiet):
        options = _local_options(settings)
        try:
            with deaf_to_ctrl_c():
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


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Block Ctrl-C in the threads that start within, and in every process that these start.

    A terminal sends it to all processes of a command; the driver alone must answer, or each
    worker dies with a traceback. One that comes meanwhile is delivered afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # its own start would unblock the signal again, in the thread that starts the workers
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _local_options(settings: ClusterSettings) -> dict[str, Any]:
    options = {
        "n_workers": settings.n_workers,
        "threads_per_worker": settings.threads_per_worker or 1,
        "memory_limit": settings.memory_limit,
        "processes": True,
        "host": LOOPBACK,
        "dashboard_address": f"{LOOPBACK}:{_dashboard_port()}",
        # a worker that meets an error in the data would log it with its traceback; it is told here
        "silence_logs": logging.CRITICAL,
    }
    # threads would otherwise talk within the process, which knows no host to bind to
    protocol = {} if settings.options.get("processes", True) else {"protocol": "tcp"}
    options = {**options, **protocol, **settings.options}
    _refuse_exposed(options, settings.check)
    return options


def _refuse_exposed(options: Mapping[str, Any], check: Callable[[str], None]) -> None:
    """Raise ConfigError if an option would let other machines in, and that is not allowed."""
    nested = {name: options.get(name) for name in ("scheduler_kwargs", "worker_kwargs")}
    places = {"": options} | {f"{name}.": given for name, given in nested.items() if given}
    for prefix, given in places.items():
        for key in EXPOSING & set(given):
            value = given[key]
            if value is None:
                continue
            scheme = "tcp" if key == "dashboard_address" else options.get("protocol", "tcp")
            try:
                check(f"{str(scheme).rstrip(':/')}://{value}")
            except ConfigError:
                raise ConfigError(
                    f"cluster.options: {prefix}{key}: {value} lets other machines in, and whoever "
                    f"reaches a scheduler can run code here. Use {LOOPBACK}, or say "
                    "cluster.allow_insecure: true"
                ) from None


def _dashboard_port() -> int:
    """Return the usual port of the dashboard, or 0 for any where it is taken."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, DASHBOARD))
        except OSError:
            return 0
    return DASHBOARD


def _close(client: Any, cluster: Any) -> None:
    with suppress(Exception):  # the work is done or lost already; closing must not hide that
        if client is not None:
            client.close(timeout=5)
    with suppress(Exception):
        cluster.close(timeout=5)


def _existing(settings: ClusterSettings) -> Iterator[Any]:
    from distributed import Client

    began = time.monotonic()
    address, where = settings.address, settings.address
    if settings.scheduler_file:
        address = scheduler_address(Path(settings.scheduler_file), settings.timeout)
        where = f"{address} (from {settings.scheduler_file})"
        settings.check(address)
    left = max(round(settings.timeout - (time.monotonic() - began), 1), 1.0)
    security = security_of(settings.security)
    try:
        meet(str(address), left, security)
        client = Client(address, timeout=left, security=security, set_as_default=True)
    except (TypeError, ValueError) as error:
        reason = str(error)
        if str(address).startswith("tls://") and not settings.security:
            reason = "it is encrypted, and cluster.security names no files (ca, cert and key)"
        raise ConfigError(f"cluster.address: {where} cannot be connected to: {reason}") from error
    except (OSError, RuntimeError) as error:
        raise ClusterError(
            f"no scheduler answers at {where} within {settings.timeout:g} s: {error}. Is it "
            "running, and reachable from here? Nothing is lost: run again later"
        ) from error
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=5)
