"""`run_grid`: all K, covariance types and restarts in shared passes, then their criteria."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from gmm_dask.angled import looked_at, with_ranges
from gmm_dask.blocks import FloatArray, Source
from gmm_dask.drive import Driven, Fits, Interrupted, Search, Watch, drive, keep_all
from gmm_dask.engine.base import Engine
from gmm_dask.engine.blas import one_blas_thread
from gmm_dask.errors import DataError, PlatformWarning
from gmm_dask.evaluation import evaluate
from gmm_dask.first_pass import find_frame
from gmm_dask.folds.compare import Comparison
from gmm_dask.folds.rows import is_plain
from gmm_dask.folds.sample import Sample
from gmm_dask.halving import halving
from gmm_dask.initial import Ground
from gmm_dask.ladder import begin_on, climb, entrants, finalists, rungs
from gmm_dask.machine import machine_facts
from gmm_dask.search import Grid, restarts
from gmm_dask.selection import Candidate, choose
from gmm_dask.state import CODEC, CheckpointSettings, Resumed, Saver, identity, resume
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
    stability: bool = False,
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
        Called once with the checkpoint from which the run goes on. Without it a checkpoint that
        was computed on other software or another machine is warned about.
    on_interrupt : {"raise", "return"}
        Ctrl-C raises `Interrupted` (after saving a checkpoint), or ends the fits as they are.
    constant : {"raise", "warn"}
        What to do with constant columns.
    stability : bool
        Compare the labels of restarts and of neighbouring K in the last pass, as the criterion
        stability needs; see `stability.comparisons`.

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
    if grid.race and search is keep_all:
        search = halving(source.n_rows)
    fits, resumed, saver = _opened(run, given, checkpoint, constant, watch)
    if resumed and on_resume:
        on_resume(resumed)
    elif resumed and resumed.differs:
        warnings.warn(resumed.warning, PlatformWarning, stacklevel=2)
    watchers: list[Watch] = [*watch, saver] if saver else list(watch)
    number = resumed.number if resumed else 0
    with one_blas_thread():  # M-steps too: their bits must not depend on the number of cores
        done = _drive(run, fits, search, watchers, number, on_interrupt, saver)
        candidates, comparison = evaluate(engine, source, grid, done.fits, stability=stability)
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
    watch: Sequence[Watch],
) -> _Opened:
    """Return fits at their starts, or where a checkpoint left them, and what saves them."""
    if checkpoint is None:
        return _Opened(_begin(run, given, constant, watch))
    engine, source, grid = run
    known = identity(grid, source, asdict(engine.plan(source)), given)
    rests_on = checkpoint.rests_on or machine_facts()
    store = Checkpoints(checkpoint.path, known, CODEC, checkpoint.keep, rests_on)
    resumed = resume(store, checkpoint, grid)
    fits = resumed.fits if resumed else _begin(run, given, constant, watch)
    return _Opened(fits, resumed, Saver(store, checkpoint))


def _begin(
    run: _Run, given: dict[str, FloatArray] | None, constant: str, watch: Sequence[Watch]
) -> Fits:
    """Return the fits at their starts; of those that race, the finalists of the samples."""
    engine, source, grid = run
    if grid.reg_covar:
        constant = "warn"  # a number added to every variance makes constant columns harmless
    frame, stats = find_frame(engine, source, grid.rows, constant=constant)
    shape = with_ranges(grid.shape, stats.minimum, stats.maximum)
    shape, frame = looked_at(shape, engine, source, frame, grid.rows)
    grid = replace(grid, shape=shape)
    if float(stats.n_rows) < max(grid.n_components):
        raise DataError(
            f"{int(stats.n_rows)} training rows are left for n_components = "
            f"{max(grid.n_components)}: hold out fewer rows, or fit fewer components"
        )
    chosen = not given or bool(grid.held.components)
    steps = rungs(grid, int(stats.n_rows), len(frame.shift)) if grid.race and chosen else ()
    wide, short = entrants(grid, int(stats.n_rows), len(frame.shift))
    if given or not is_plain(grid.rows) or not grid.shape.plain:
        short = ()
    size = max([grid.sample_size, *(rung.rows for rung in (*steps, *short))])
    drawn = Sample(size, len(source.columns), grid.seed, grid.rows)
    sample = engine.fold(drawn, source).values
    if not (steps or short) and is_plain(grid.rows):
        return restarts(grid, Ground(frame, sample), given)
    with one_blas_thread():
        if short:
            begun = begin_on(sample, wide, frame, given)
            return finalists(climb(begun, sample, short, wide, engine, watch))
        enough = max([grid.sample_size, *(rung.rows for rung in steps[:1])])
        begun = begin_on(sample[:enough], grid, frame, given)
        return climb(begun, sample, steps, grid, engine, watch)


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
