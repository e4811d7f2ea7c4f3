"""Rules of the section ``cluster``, and which connections are refused as not encrypted."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from gmm_dask import ConfigError
from pipeline.config.run_sections import ClusterSection
from pipeline.config.schema import Config
from pipeline.config.secrecy import mask_address

ENCRYPTED = ("tls", "wss")


def check_connection(address: str, cluster: ClusterSection) -> None:
    """Refuse a connection that is not encrypted to a scheduler on another machine.

    To be asked also with the address that a scheduler file gives.

    Parameters
    ----------
    address : str
        Such as ``tls://host:8786``; without a scheme it is TCP.
    cluster : ClusterSection
        The settings.

    Raises
    ------
    ConfigError
        With the reason and what to write.
    """
    reason = insecure(address, cluster)
    if reason is not None:
        raise ConfigError(f"cluster.address: {reason}")


def insecure(address: str, cluster: ClusterSection) -> str | None:
    """Say why an address is refused, ``None`` when it is fine."""
    scheme = address.partition("://")[0] if "://" in address else "tcp"
    if scheme in (*ENCRYPTED, "inproc") or cluster.allow_insecure or is_loopback(address):
        return None
    shown = mask_address(address)
    if cluster.security is not None:
        return f"{shown} is not encrypted, although cluster.security is given; write tls://"
    return (
        f"{shown} is on another machine and not encrypted: whoever reaches that port can run code"
        " on every worker. Use tls:// with cluster.security, or say cluster.allow_insecure: true"
    )


def is_loopback(address: str) -> bool:
    """Whether an address such as ``tcp://127.0.0.1:8786`` stays on this machine."""
    try:
        host = urlsplit("//" + address.rpartition("://")[2]).hostname or ""
    except ValueError:
        return False
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _only_address(key: str) -> Callable[[Config], str | None]:
    def against(config: Config) -> str | None:
        if getattr(config.cluster, key) is None or config.cluster.type == "address":
            return None
        return f"only with cluster.type: address; the type is {config.cluster.type}"

    return against


def _where_to(config: Config) -> str | None:
    cluster = config.cluster
    if cluster.type != "address":
        return None
    if cluster.address and cluster.scheduler_file:
        return "give cluster.address or cluster.scheduler_file, not both"
    if not cluster.address and not cluster.scheduler_file:
        return "address needs cluster.address or cluster.scheduler_file"
    return None


def _encrypted(config: Config) -> str | None:
    address = config.cluster.address
    return insecure(address, config.cluster) if address else None


def _options(config: Config) -> str | None:
    if config.cluster.options and config.cluster.type == "address":
        return "an existing scheduler takes no options; take them out"
    return None


def _enough(config: Config) -> str | None:
    cluster = config.cluster
    if cluster.n_workers is not None and cluster.wait_for_workers > cluster.n_workers:
        asked, started = cluster.wait_for_workers, cluster.n_workers
        return f"waits for {asked} workers, but cluster.n_workers is {started}"
    return None


RULES = (
    (("cluster.address", "cluster.type"), _only_address("address")),
    (("cluster.scheduler_file", "cluster.type"), _only_address("scheduler_file")),
    (("cluster.type", "cluster.address", "cluster.scheduler_file"), _where_to),
    (("cluster.address", "cluster.security", "cluster.allow_insecure"), _encrypted),
    (("cluster.options", "cluster.type"), _options),
    (("cluster.wait_for_workers", "cluster.n_workers"), _enough),
)
