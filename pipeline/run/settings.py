"""Sections of the configuration as the plain values that other rooms take."""

from __future__ import annotations

from pipeline.clusters import ClusterSettings
from pipeline.config import Config, check_connection, reveal


def cluster_settings(config: Config) -> ClusterSettings:
    """Return the cluster section in plain values, after checking that it is safe.

    Raises
    ------
    ConfigError
        The scheduler is on another machine and not encrypted.
    """
    section = config.cluster
    if section.address:
        check_connection(section.address, section)
    security = section.security.model_dump() if section.security else None
    return ClusterSettings(
        section.type,
        section.address,
        section.scheduler_file,
        section.n_workers,
        section.threads_per_worker,
        section.memory_limit,
        section.timeout,
        security,
        reveal(section.options, where="cluster.options"),
    )
