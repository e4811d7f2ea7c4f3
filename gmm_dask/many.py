"""`run_grid`: all K, covariance types and restarts in shared passes, then their criteria."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from gmm_dask.blocks import FloatArray, Source
from gmm_dask.drive import Driven, Fits, Interrupted, Search, Watch, drive, keep_all
from gmm_dask.engine.base import Engine
from gmm_dask.engine.blas import one_blas_thread
from gmm_dask.errors import DataError
from gmm_dask.first_pass import find_frame
from gmm_dask.fits.restart import Restart
from gmm_dask.folds.compare import Compare, Comparison
from gmm_dask.folds.sample import Sample
from gmm_dask.folds.score import Score, ScoreSums
from gmm_dask.mixture import Mixture
from gmm_dask.search import Grid, Ground, restarts
from gmm_dask.selection import (
    Candidate,
    RestartSummary,
    best_restarts,
    choose,
    ordered_mixture,
)
from gmm_dask.state import CODEC, CheckpointSettings, Resumed, Saver, identity, resume
from gmm_dask.stats import Fold, batch
from gmm_dask.store.checkpoint import Checkpoints


@dataclass(frozen=True)
class GridResult:
    """What a grid of fits came to.

    Parameters
    ----------
    candidates : tuple of Candidate
        One for each K and covariance type, in the order of the grid.
    comparison : Comparison, optional
        Held-out log densities in the same order.
    n_passes : int
        Passes over the data by the fits (the first pass, the sample and the scores come on top).
    resumed : Resumed, optional
        The checkpoint from which the run went on.
    interrupted : bool
        Ctrl-C ended the fits early.
    """

    candidates: tuple[Candidate, ...]
    comparison: Comparison | None
    n_passes: int
    resumed: Resumed | None = None
    interrupted: bool = False

    def choose(self, criterion: str = "bic", rule: str = "best") -> int:
        """Return the position of the chosen candidate; see `selection.choose`."""
        return choose(self.candidates, criterion, rule, self.comparison)


class _Run(NamedTuple):
    engine: Engine
    source: Source
    grid: Grid


def run_grid(
    source: Source,
    grid: Grid,
    engine: Engine,
    *,
    given: dict[str, FloatArray] | None = None,
    checkpoint: CheckpointSettings | None = None,
    search: Search = keep_all,
    watch: Sequence[Watch] = (),
    on_resume: Callable[[Resumed], None] | None = None,
    on_interrupt: str = "raise",
    constant: str = "raise",
) -> GridResult:
    """Fit a whole grid in shared passes.

    Parameters
    ----------
    source : Source
    grid : Grid
    engine : Engine
    given : dict, optional
        Parameters to begin with, source units; see `search.restarts`.
    checkpoint : CheckpointSettings, optional
    search : callable
        Decisions across fits after each pass.
    watch : sequence of callables
        Called with a `PassDone` after each pass.
    on_resume : callable, optional
        Called once with the checkpoint from which the run goes on.
    on_interrupt : {"raise", "return"}
        Ctrl-C raises `Interrupted` (after saving a checkpoint), or ends the fits as they are.
    constant : {"raise", "warn"}
        What to do with constant columns.

    Raises
    ------
    DataError, ResourceError, CheckpointError, Interrupted
    """
    run = _Run(engine, source, grid)
    if source.n_rows < max(grid.n_components):
        raise DataError(
            f"Expected n_samples >= n_components but got n_components = "
            f"{max(grid.n_components)}, n_samples = {source.n_rows}"
        )
    fits, resumed, saver = _opened(run, given, checkpoint, constant)
    if resumed and on_resume:
        on_resume(resumed)
    watchers: list[Watch] = [*watch, saver] if saver else list(watch)
    number = resumed.number if resumed else 0
    with one_blas_thread():  # M-steps too: their bits must not depend on the number of cores
        done = _drive(run, fits, search, watchers, number, on_interrupt, saver)
        candidates, comparison = evaluate(engine, source, grid, done.fits)
    return GridResult(candidates, comparison, done.number, resumed, done.interrupted)


class _Opened(NamedTuple):
    fits: Fits
    resumed: Resumed | None = None
    saver: Saver | None = None


def _opened(
    run: _Run,
    given: dict[str, FloatArray] | None,
    checkpoint: CheckpointSettings | None,
    constant: str,
) -> _Opened:
    """Return fits at their starts, or where a checkpoint left them, and what saves them."""
    if checkpoint is None:
        return _Opened(_begin(run, given, constant))
    engine, source, grid = run
    known = identity(grid, source, asdict(engine.plan(source)), given)
    store = Checkpoints(checkpoint.path, known, CODEC, checkpoint.keep)
    resumed = resume(store, checkpoint, grid)
    fits = resumed.fits if resumed else _begin(run, given, constant)
    return _Opened(fits, resumed, Saver(store, checkpoint))


def _begin(run: _Run, given: dict[str, FloatArray] | None, constant: str) -> Fits:
    engine, source, grid = run
    if grid.reg_covar:
        constant = "warn"  # a number added to every variance makes constant columns harmless
    frame, stats = find_frame(engine, source, grid.rows, constant=constant)
    if float(stats.n_rows) < max(grid.n_components):
        raise DataError(
            f"{int(stats.n_rows)} training rows are left for n_components = "
            f"{max(grid.n_components)}: hold out fewer rows, or fit fewer components"
        )
    fold = Sample(grid.sample_size, len(source.columns), grid.seed, grid.rows)
    sample = engine.fold(fold, source).values
    return restarts(grid, Ground(frame, sample), given)


def _drive(
    run: _Run,
    fits: Fits,
    search: Search,
    watch: Sequence[Watch],
    number: int,
    on_interrupt: str,
    saver: Saver | None,
) -> Driven:
    try:
        return drive(fits, run.engine, run.source, search, watch, number)
    except Interrupted as stopped:
        if saver:
            saver.save(stopped.fits, stopped.number)
        if on_interrupt != "return" or all(f.lower_bound == -math.inf for f in stopped.fits):
            raise
        return Driven(stopped.fits, stopped.number, interrupted=True)


def evaluate(
    engine: Engine, source: Source, grid: Grid, fits: Fits
) -> tuple[tuple[Candidate, ...], Comparison | None]:
    """Return the candidates with their criteria, by one more pass over the data."""
    groups = best_restarts(fits)
    mixtures = tuple(ordered_mixture(restart) for restart, _ in groups)
    about = tuple(restart.lower_bound for restart, _ in groups)
    held = replace(grid.rows, inside=not grid.rows.inside) if grid.rows else None
    folds: list[Fold[Any, Any, Any]] = [Score(mixture, grid.rows) for mixture in mixtures]
    if held:
        folds.append(Compare(mixtures, about, held))
    answers = engine.fold(batch(folds), source)
    comparison = answers[-1] if held else None
    candidates = tuple(
        _candidate(i, restart, summaries, mixtures[i], answers[i], grid.tol, comparison)
        for i, (restart, summaries) in enumerate(groups)
    )
    return candidates, comparison


def _candidate(
    i: int,
    restart: Restart,
    summaries: tuple[RestartSummary, ...],
    mixture: Mixture,
    score: ScoreSums,
    tol: float,
    comparison: Comparison | None,
) -> Candidate:
    assert restart.em is not None
    candidate = Candidate(mixture, summaries, restart.em.lower_bounds, score, tol)
    if comparison is None:
        return candidate
    error = float(comparison.standard_error()[i])
    return replace(candidate, held_out=float(comparison.mean[i]), held_out_error=error)
