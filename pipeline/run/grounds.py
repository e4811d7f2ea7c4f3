"""What a run's bits rest on: asked of the workers, compared with what it goes on from, told."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from gmm_dask import PlatformWarning, Resumed, check_workers, machine_facts
from pipeline.sources import Table

if TYPE_CHECKING:
    from pipeline.run.job import Job


def ask_workers(job: Job, client: Any, table: Table) -> dict[str, str]:
    """Check the workers, put what they are into the manifest and tell where they differ.

    Parameters
    ----------
    job : Job
    client : distributed.Client
    table : Table
        Each worker reads its first row.

    Returns
    -------
    dict
        What results of driver and workers rest on, for the checkpoints.

    Raises
    ------
    ResourceError
        Too few workers came, or one cannot take part.
    """
    section = job.config.cluster
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlatformWarning)  # told below, in the manifest as well
        facts = check_workers(
            client, table, section.timeout, section.wait_for_workers, machine_facts
        )
    rests_on: dict[str, str] = facts.pop("rests_on")
    told = facts.pop("warnings")
    job.folder.update(workers=facts, rests_on=rests_on)
    for sentence in told:
        job.note(sentence)
    return rests_on


def note_resumed(job: Job, resumed: Resumed) -> None:
    """Put the checkpoint into the manifest; tell if it was computed on something different."""
    job.folder.update(resumed_from=resumed.number)
    job.folder.event("resumed", number=resumed.number, sha256=resumed.sha256)
    if resumed.warning:
        job.note(resumed.warning, differs=list(resumed.differs))
