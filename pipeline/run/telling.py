"""What a run tells while it goes on: warnings, where it resumed, how fresh its checkpoint is."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import gmm_dask
from gmm_dask import Resumed
from pipeline.config import Config
from pipeline.progress import Progress, say
from pipeline.run.grounds import note_resumed

if TYPE_CHECKING:
    from pipeline.run.job import Job

PACKAGE = Path(gmm_dask.__file__).parent


@contextmanager
def told(job: Job) -> Iterator[None]:
    """Note what the package itself warns of: damaged checkpoints, old ones that stay."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if Path(filename).is_relative_to(PACKAGE):
                job.note(str(message))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def dashboard(client: Any) -> str:
    """Return the address of the cluster's dashboard, for the first line of a run."""
    link = getattr(client, "dashboard_link", "")
    return f"   (dashboard {link})" if link else ""


def saved(config: Config) -> float | None:
    """Return the monotonic time of the newest checkpoint."""
    newest = max(
        (item.stat().st_mtime for item in Path(config.checkpoint.path).glob("commits/*.json")),
        default=None,
    )
    return None if newest is None else time.monotonic() - (time.time() - newest)


def shifting(job: Job, progress: Progress) -> Callable[[float], None]:
    """Return what makes progress and events show log-likelihoods in source units."""

    def shift(per_row: float) -> None:
        job.shift = progress.shift = per_row

    return shift


def resuming(job: Job) -> Callable[[Resumed], None]:
    """Return what tells from which checkpoint a run goes on."""

    def tell(resumed: Resumed) -> None:
        live = sum(fit.outcome is None for fit in resumed.fits)
        written = str(resumed.written)[:19]
        say(
            f"resuming {job.folder.path} from pass {resumed.number} (checkpoint {written} UTC, "
            f"sha256 {resumed.sha256[:8]}...; {live} of {len(resumed.fits)} fits live)",
            job.out,
        )
        note_resumed(job, resumed)

    return tell
