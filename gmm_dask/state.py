"""What a run keeps between passes, and how it goes to a checkpoint and comes back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from gmm_dask.blocks import FloatArray, Frame, RowLayout, Source
from gmm_dask.drive import Fits, PassDone
from gmm_dask.engine.platform import differing
from gmm_dask.errors import CheckpointError, FormatError
from gmm_dask.families.background import WithBackground
from gmm_dask.families.floors import RelativeFloor, Ridge
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.families.held import Held, HeldGaussian
from gmm_dask.families.lines import Line
from gmm_dask.families.prior import CovariancePrior
from gmm_dask.families.product import Product, ProductParams
from gmm_dask.families.von_mises import VonMises
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.daarem import Daarem
from gmm_dask.fits.em import EM
from gmm_dask.fits.given import Given
from gmm_dask.fits.mixing import Memory
from gmm_dask.fits.restart import Dropped, Restart
from gmm_dask.fits.squarem import Squarem
from gmm_dask.fits.starts import FromCentres, FromRandomResp, KMeansParallel
from gmm_dask.folds.rows import RowShare
from gmm_dask.laws.named import LAWS
from gmm_dask.machine import machine_facts
from gmm_dask.mixture import Mixture
from gmm_dask.search import Grid
from gmm_dask.sound import check_mixtures
from gmm_dask.store.checkpoint import Checkpoints
from gmm_dask.store.codec import Codec
from gmm_dask.tree import fingerprint

MIXTURE_CLASSES = (
    *(Mixture, Gaussian, GaussianParams, CovariancePrior),
    *(RelativeFloor, Ridge, Frame),
    *(HeldGaussian, Held, Line),
    *(Product, ProductParams, VonMises, WithBackground),
    *LAWS,
)
CODEC = Codec(
    (
        *MIXTURE_CLASSES,
        Restart,
        EM,
        Squarem,
        Daarem,
        Memory,
        Given,
        Dropped,
        RowShare,
        RowLayout,
        FromCentres,
        FromRandomResp,
        KMeansParallel,
        Outcome,
    )
)
RESUME = ("auto", "never", "require")


class Resumed(NamedTuple):
    """Where a run goes on."""

    fits: Fits
    number: int
    """Passes done."""
    written: str
    """Time of the checkpoint, ISO 8601."""
    sha256: str
    differs: tuple[str, ...] = ()
    """What the checkpoint was computed on that is different now, a line for each fact. The result
    then agrees with that of an undisturbed run to rounding, not bit for bit."""

    @property
    def warning(self) -> str:
        """What it means that something is different now, "" where nothing is."""
        if not self.differs:
            return ""
        return (
            f"the passes up to {self.number} were computed on something different "
            f"({'; '.join(self.differs)}): the result agrees with that of an undisturbed run to "
            "rounding, not bit for bit"
        )


@dataclass(frozen=True)
class CheckpointSettings:
    """Where and how often fits are saved.

    Parameters
    ----------
    path : path
        Folder of the checkpoints of one run.
    every_seconds : float
        Time between checkpoints.
    every_passes : int, optional
        Passes between checkpoints, instead of a time.
    keep : int
        How many are kept.
    resume : {"auto", "never", "require"}
        Go on from the newest valid checkpoint if there is one; never; or refuse to start anew.
    rests_on : mapping, optional
        On what results rest besides data and settings; default `machine_facts` of this process.
    """

    path: Path
    every_seconds: float = 60.0
    every_passes: int | None = None
    keep: int = 3
    resume: str = "auto"
    rests_on: Mapping[str, str] | None = None


def identity(
    grid: Grid,
    source: Source,
    plan: Mapping[str, Any],
    given: Mapping[str, FloatArray] | None = None,
) -> dict[str, Any]:
    """Return what must be equal for a checkpoint to belong to a run.

    The tolerance, the number of passes and the workers may differ.
    """
    return {
        "checkpoint": 1,
        "n_components": list(grid.n_components),
        "covariance_type": list(grid.covariance_type),
        "n_init": grid.n_init,
        "init_params": grid.init_params,
        "reg_covar": grid.reg_covar,
        "seed": grid.seed,
        "accelerate": grid.accelerate,
        "race": grid.race,
        "covariance_prior": grid.covariance_prior,
        **({} if grid.shape.plain else {"shape": grid.shape.identity}),
        "weights": repr(grid.law),
        # keys that say nothing are left out: checkpoints of earlier versions lack them
        **({} if grid.held == Held() else {"held": repr(tuple(grid.held))}),
        **({} if grid.temperature == 1 else {"temperature": grid.temperature}),
        "held_out": grid.rows.fraction if grid.rows and grid.rows.is_part else 0.0,
        "layout": list(grid.rows.layout) if grid.rows and grid.rows.layout else None,
        "rows": source.n_rows,
        "columns": list(source.columns),
        "data": source.fingerprint,
        "block_rows": plan["block_rows"],
        "fan_in": plan["fan_in"],
        "given": fingerprint(tuple(sorted((given or {}).items()))) if given else None,
    }


@dataclass
class Saver:
    """A watcher that saves the fits when it is time.

    Parameters
    ----------
    checkpoints : Checkpoints
    settings : CheckpointSettings
    """

    checkpoints: Checkpoints
    settings: CheckpointSettings
    last: float = field(default_factory=time.monotonic)
    saved_pass: int = -1

    def __call__(self, done: PassDone) -> None:
        """Save if the interval is over or every fit has ended."""
        if self._due(done):
            self.save(done.fits, done.number)

    def _due(self, done: PassDone) -> bool:
        if done.live == 0 or done.seconds > 10.0:
            return True
        if self.settings.every_passes:
            return done.number % self.settings.every_passes == 0
        return time.monotonic() - self.last >= self.settings.every_seconds

    def save(self, fits: Fits, number: int) -> None:
        """Save now, unless this pass is saved already."""
        if number != self.saved_pass:
            self.checkpoints.save(fits, number)
            self.saved_pass, self.last = number, time.monotonic()


def resume(checkpoints: Checkpoints, settings: CheckpointSettings, grid: Grid) -> Resumed | None:
    """Return the newest valid state under the grid's tolerance and limit, or None to begin.

    Raises
    ------
    CheckpointError
        None is there and ``resume`` is "require"; or it belongs to another run.
    """
    if settings.resume == "never":
        return None
    loaded = checkpoints.latest()
    if loaded is None:
        if settings.resume == "require":
            raise CheckpointError(
                f"{settings.path} holds no checkpoint, and resume is required: set resume to auto "
                "to begin anew"
            )
        return None
    check_fits(loaded.value, settings.path)
    fits = tuple(_extended(fit, grid) for fit in loaded.value)
    written = loaded.written.isoformat(timespec="seconds")
    now = settings.rests_on or machine_facts()
    differs = dict.fromkeys(line for then in loaded.rests_on for line in differing(then, now))
    return Resumed(fits, loaded.pass_number, written, loaded.sha256, tuple(differs))


def check_fits(value: Any, path: Any) -> None:
    """Raise FormatError unless what a checkpoint gave are fits whose mixtures can be used."""
    if not isinstance(value, tuple) or not all(isinstance(fit, Restart) for fit in value):
        raise FormatError(f"{path}: the checkpoint holds no fits")
    if any((fit.em is None) == (fit.start is None) for fit in value):
        raise FormatError(f"{path}: a fit has neither begun nor a start, or both")
    check_mixtures(value, path)


def _extended(fit: Restart, grid: Grid) -> Restart:
    em = None if fit.em is None else fit.em.extended(grid.tol, grid.max_iter)
    return replace(fit, em=em, tol=grid.tol, max_iter=grid.max_iter)


MODEL_CODEC = Codec(MIXTURE_CLASSES)
