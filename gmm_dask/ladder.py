"""Nested samples: restarts compete on small samples before the best of them see all rows.

A pass over a sample costs next to nothing, and most of what EM does from a rough start is far
above the noise of a sample. The samples are nested (a larger one holds the smaller) and drawn by
absolute row, so they do not depend on blocks or workers.

References
----------
Bradley, Reina and Fayyad 1998, MSR-TR-98-35 (refinement on samples); Jamieson and Talwalkar 2016,
AISTATS (halving).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gmm_dask.blocks import ArraySource, Block, FloatArray, Frame
from gmm_dask.completion import completed
from gmm_dask.cost import row_seconds
from gmm_dask.drive import Fits, Interrupted, PassDone, Watch, drive
from gmm_dask.engine.base import Engine
from gmm_dask.engine.local import LocalEngine
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.restart import Restart
from gmm_dask.fits.split_merge import SplitMerge
from gmm_dask.folds.rows import RowShare, observed
from gmm_dask.halving import drop, groups_of, ranked
from gmm_dask.initial import Ground
from gmm_dask.search import Grid, restarts
from gmm_dask.stats import batch

SMALLEST = 4096
GROWTH = 4
SHARE = 16
"""The largest sample holds at most this part of the rows: its passes must stay cheap."""
LARGEST_BYTES = 256 * 2**20
PASSES = 30
"""On each sample: more would fit its noise."""
SAMPLE_TOL = 1e-5
REPAIR_ROWS = 16384
REPAIRS = 4
"""Rounds of split-and-merge moves at most."""
LOCAL_SECONDS = 2.0
"""A pass over a sample that takes longer than this on one thread goes to the workers."""
FINALISTS = 2
ENTRANTS = 20
"""Starts of each K and covariance type that take part where a pass costs next to nothing."""


class Rung(NamedTuple):
    """One sample of the ladder."""

    rows: int
    keep: int
    """Restarts of each K and covariance type that go on."""


def rungs(grid: Grid, n_rows: int, n_columns: int) -> tuple[Rung, ...]:
    """Return the samples on which restarts compete, smallest first; none where rows are few.

    The smallest has at least 4096 rows and four for each mean and variance of the largest
    mixture; each is four times as large as the one before, the last at most a sixteenth of the
    rows and 256 MiB.

    Parameters
    ----------
    grid : Grid
    n_rows : int
        Training rows.
    n_columns : int
    """
    least = max(SMALLEST, 8 * max(grid.n_components) * (n_columns + 1))
    most = min(n_rows // SHARE, LARGEST_BYTES // (8 * n_columns))
    sizes = []
    while least <= most:
        sizes.append(least)
        least *= GROWTH
    keep = grid.n_init
    found = []
    for size in sizes:
        keep = max(min(keep, FINALISTS), -(-keep // 2))
        found.append(Rung(size, keep))
    return tuple(found)


def entrants(grid: Grid, n_rows: int, n_columns: int) -> tuple[Grid, tuple[Rung, ...]]:
    """Return the restarts that begin on small data, and the short race that leaves `n_init`.

    There the sample is all rows: twenty starts or more run for some passes, the best go on, and
    split-and-merge moves repair the leader. Without a race, with a single start, and where such
    passes would take longer than `LOCAL_SECONDS`, the grid comes back as it is.

    Parameters
    ----------
    grid : Grid
    n_rows : int
        Training rows.
    n_columns : int
    """
    fits = [(K, kind) for kind in grid.covariance_type for K in grid.n_components]
    a_pass = n_rows * sum(row_seconds(kind, K, n_columns) for K, kind in fits)
    slow = n_rows > REPAIR_ROWS or a_pass * ENTRANTS * PASSES > LOCAL_SECONDS
    if slow or not grid.race or grid.n_init < 2:
        return grid, ()
    return replace(grid, n_init=max(grid.n_init, ENTRANTS)), (Rung(n_rows, grid.n_init),)


def finalists(fits: Fits) -> Fits:
    """Return the fits that were not dropped, numbered anew for each K and covariance type."""
    return tuple(
        replace(fits[place], index=index)
        for group in groups_of(fits)
        for index, place in enumerate(group)
    )


def begin_on(
    sample: FloatArray, grid: Grid, frame: Frame, given: dict[str, FloatArray] | None = None
) -> Fits:
    """Return the restarts of a grid with the start of each done on a sample.

    Starts need complete rows, all alike: holes are filled with column means, and errors and
    weights are left to EM (rows are drawn by their weights).

    Parameters
    ----------
    sample : (m, width) array
        Source units, as the layout of ``grid.rows`` has it.
    grid : Grid
    frame : Frame
    given : dict, optional
        See `search.restarts`.
    """
    rows = filled(sample, grid.rows, frame)
    state = restarts(replace(grid, rows=None), Ground(frame, rows), given)
    engine, source = LocalEngine(), ArraySource(rows)
    while any(fit.em is None for fit in state):
        waiting = [fit for fit in state if fit.em is None]
        found: tuple[Any, ...] = engine.fold(batch([fit.ask() for fit in waiting]), source)
        answers = iter(found)
        state = tuple(fit if fit.em else fit.tell(next(answers)) for fit in state)
    return tuple(_on_all_rows(fit, grid) for fit in state)


def filled(sample: FloatArray, rows: RowShare | None, frame: Frame) -> FloatArray:
    """Return the values (m, D) of a sample, column means in place of holes.

    Columns are guessed where rows measure combinations of them.
    """
    every = observed(rows and replace(rows, fraction=1.0, inside=True), Block(sample, 0))
    values = completed(every, frame.shift, frame.scale).values
    some = values[~np.isnan(values).all(axis=1)]
    return np.where(np.isnan(some), frame.backward(frame.centre[None]), some)


def climb(
    fits: Sequence[Restart],
    sample: FloatArray,
    ladder: Sequence[Rung],
    grid: Grid,
    engine: Engine,
    watch: Sequence[Watch] = (),
) -> Fits:
    """Return the fits after the ladder: finalists ready for all rows, others dropped.

    Parameters
    ----------
    fits : sequence of Restart
        At their starts, which look at the sample.
    sample : (m, D) array
        Source units; the first rows are the smaller samples.
    ladder : sequence of Rung
    grid : Grid
    engine : Engine
        Used for samples that would keep one machine busy.
    watch : sequence of callables
        Called after each pass over a sample.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; nothing is worth saving yet.
    """
    state = tuple(fits)
    for rung in ladder:
        rows = ArraySource(sample[: rung.rows])
        runner = _engine_for(grid, rung.rows, sample.shape[1], engine)
        state = tuple(_on_sample(fit) for fit in state)
        try:
            state = drive(state, runner, rows, watch=watch, sample=rung.rows).fits
        except Interrupted:
            raise KeyboardInterrupt from None
        state = select(state, rung)
    if ladder and grid.shape.plain:
        state = repaired(state, sample[: max(REPAIR_ROWS, ladder[-1].rows)], watch)
    return tuple(_on_all_rows(fit, grid) for fit in state)


def repaired(fits: Fits, sample: FloatArray, watch: Sequence[Watch] = ()) -> Fits:
    """Return the fits with the leader of each group improved by split-and-merge moves.

    k-means and EM leave two components in one cluster and one over two; moving one is cheap on a
    sample and spares the search for a better start.
    """
    leaders = [ranked(fits, group)[0] for group in groups_of(fits)]
    # components with a meaning by number are not free to change places, and moves are judged by
    # the likelihood of a mixture, which hard fits do not raise
    free = [fits[place].template for place in leaders]
    movable = [not of.law.ordered and of.temperature == 1 for of in free]
    moves = {place: _moves(fits[place]) for place, may in zip(leaders, movable, strict=True) if may}
    engine, source = LocalEngine(), ArraySource(sample)
    number = 0
    while live := [place for place, move in moves.items() if move.outcome is None]:
        began, number = time.perf_counter(), number + 1
        found: tuple[Any, ...] = engine.fold(batch([moves[p].ask() for p in live]), source)
        moves |= {p: moves[p].tell(answer) for p, answer in zip(live, found, strict=True)}
        for watcher in watch:
            watcher(PassDone(number, fits, time.perf_counter() - began, len(sample)))
    state = list(fits)
    for place, move in moves.items():
        if move.accepted:
            state[place] = fits[place].begin(move.mixture)
    return tuple(state)


def _moves(fit: Restart) -> SplitMerge:
    assert fit.em is not None
    rows = RowShare.all_rows(fit.rows.layout if fit.rows else None)
    return SplitMerge(
        fit.em.mixture, SAMPLE_TOL, PASSES, rows, candidates=4, passes=20, rounds=REPAIRS
    )


def select(fits: Fits, rung: Rung) -> Fits:
    """Return the fits with those dropped that are not among the best of their group."""
    state = list(fits)
    for group in groups_of(fits):
        order = ranked(fits, group)
        for place in order[rung.keep :]:
            state[place] = drop(fits[place], fits[order[0]], rung.rows)
    return tuple(state)


def _on_sample(fit: Restart) -> Restart:
    """Return a fit at the foot of a rung: EM anew, as its bounds are of other rows."""
    if fit.outcome is Outcome.DROPPED:
        return fit
    layout = fit.rows.layout if fit.rows else None
    rows = RowShare.all_rows(layout)
    short = replace(fit, rows=rows, tol=max(fit.tol, SAMPLE_TOL), max_iter=PASSES)
    return short if fit.em is None else short.begin(fit.em.mixture)


def _on_all_rows(fit: Restart, grid: Grid) -> Restart:
    """Return a finalist at the beginning of its passes over all rows."""
    if fit.outcome is Outcome.DROPPED:
        return fit
    assert fit.em is not None
    full = replace(fit, rows=grid.rows, tol=grid.tol, max_iter=grid.max_iter)
    return full.begin(fit.em.mixture)


def _engine_for(grid: Grid, n_rows: int, n_columns: int, engine: Engine) -> Engine:
    """Return the engine for a sample: this process, unless a pass would keep it busy."""
    fits = [(K, kind) for kind in grid.covariance_type for K in grid.n_components]
    a_row = grid.n_init * sum(row_seconds(kind, K, n_columns) for K, kind in fits)
    return LocalEngine() if n_rows * a_row < LOCAL_SECONDS else engine
