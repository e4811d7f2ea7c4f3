"""A scheduler that is there already: finding it, greeting it, and asking it for its workers."""

# mypy: allow-untyped-calls
from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gmm_dask import ClusterError, ConfigError

Answer = TypeVar("Answer")


def workers_of(client: Any, timeout: float) -> dict[str, dict[str, Any]]:
    """Return what the scheduler knows of each worker, by address.

    Raises
    ------
    ClusterError
        It does not answer in time.
    """

    async def ask() -> Any:
        return await client.scheduler.identity(n_workers=-1)

    try:
        found: dict[str, dict[str, Any]] = client.sync(ask, callback_timeout=timeout)["workers"]
    except (OSError, RuntimeError) as error:
        raise ClusterError(f"the scheduler did not answer within {timeout:g} s: {error}") from error
    return found


def steadily(client: Any, ask: Callable[[], Answer], timeout: float) -> Answer:
    """Return an answer of the workers, asked for again if some of them came or went meanwhile.

    A worker that dies while it is asked has no other version, and will be back.

    Parameters
    ----------
    client : distributed.Client
    ask : callable
        Raises ClusterError if a worker cannot take part.
    timeout : float
        Seconds after which it is not asked again.
    """
    deadline = time.monotonic() + timeout
    while True:
        before = set(workers_of(client, timeout))
        try:
            return ask()
        except ClusterError:
            same = set(workers_of(client, timeout)) == before
            if same or time.monotonic() > deadline:
                raise


def scheduler_address(path: Path, timeout: float) -> str:
    """Return the address in the file that a scheduler writes, once it is there.

    Parameters
    ----------
    path : Path
    timeout : float
        Seconds to wait for it: a queued scheduler writes it when it starts.

    Raises
    ------
    ClusterError
        The file does not come, or holds no address.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["address"])
        except FileNotFoundError:
            state = "is not there"
        except (OSError, ValueError, KeyError, TypeError) as error:
            # while it is being written it may be empty or half
            state = f"holds no address of a scheduler ({type(error).__name__}: {error})"
        if time.monotonic() >= deadline:
            raise ClusterError(
                f"waited {timeout:g} s for the scheduler's file {path}: it {state}. Is the "
                "scheduler running, and does this machine see the file? Nothing is lost: run "
                "again later, or raise cluster.timeout"
            )
        time.sleep(min(0.2, max(deadline - time.monotonic(), 0.01)))


def meet(address: str, timeout: float, security: Any) -> None:
    """Exchange greetings with a scheduler.

    A client waits for the answer without end, of a frozen scheduler or of another kind of server.

    Raises
    ------
    OSError
        There was no answer in time.
    """
    from distributed.comm.core import connect

    async def meet() -> None:
        arguments = security.get_connection_args("client")
        try:
            comm = await asyncio.wait_for(connect(address, timeout, **arguments), timeout + 1)
        except TimeoutError:
            raise OSError("something accepts connections there and does not answer") from None
        await comm.close()

    asyncio.run(meet())


def security_of(files: Mapping[str, str] | None) -> Any:
    """Return the certificates of an encrypted connection, or what Dask's own settings say.

    Raises
    ------
    ConfigError
        They are not there, or are no certificates.
    """
    from distributed.security import Security

    if not files:
        return Security()
    security = Security(
        tls_ca_file=files["ca"],
        tls_client_cert=files["cert"],
        tls_client_key=files["key"],
        require_encryption=True,
    )
    for name, path in files.items():
        if not Path(path).is_file():
            raise ConfigError(f"cluster.security.{name}: {path} is not there")
    try:
        security.get_connection_args("client")
    except OSError as error:  # what ssl raises is one too
        listed = ", ".join(files.values())
        raise ConfigError(
            f"cluster.security: certificate and key cannot be used ({listed}): {error}"
        ) from error
    return security
