"""Each row's likeliest component, for folds that sum over rows of any kind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray, IntArray, Observed
from gmm_dask.folds.rows import RowShare, check_finite_rows, is_plain, observed
from gmm_dask.kernels import table
from gmm_dask.measuring import observer_of
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.observed import Observer
from gmm_dask.row_groups import some_of


class Assigned(NamedTuple):
    """Rows under one mixture; those without any value are left out."""

    label: IntArray
    """(n,) likeliest component."""
    probability: FloatArray
    """(n,) its responsibility."""
    log_prob_norm: FloatArray
    """(n,) log density of what was observed, source units."""
    entropy: FloatArray
    """(n,) of the responsibilities, natural log."""
    weight: FloatArray
    """(n,) of the row; ones where rows have none."""


def prepare(mixture: Mixture, rows: RowShare | None) -> Prepared | Observer:
    """Return what `assign` needs, once per pass and process."""
    plain = is_plain(rows) and not mixture.family.compound
    return mixture.prepare() if plain else observer_of(mixture)


def assign(prepared: Prepared | Observer, rows: RowShare | None, block: Block) -> Assigned:
    """Return the rows of a block that are looked at, under a mixture.

    Raises
    ------
    DataError
        A row has NaN (where it does not mean missing) or an infinite value.
    """
    found = observed(rows, block)
    if is_plain(rows):
        check_finite_rows(found.values, block.start)
    if isinstance(prepared, Observer):
        return _assign_observed(prepared, _with_values(found))
    of_rows = table.assign(prepared.ready, found.values)
    return Assigned(
        of_rows.label,
        of_rows.probability,
        of_rows.log_prob_norm - prepared.log_scale,
        of_rows.entropy,
        np.ones(len(found.values)),
    )


def _with_values(rows: Observed) -> Observed:
    """Return the rows with at least one value."""
    some = ~np.isnan(rows.values).all(axis=1)
    return some_of(rows, some)


def _assign_observed(observer: Observer, rows: Observed) -> Assigned:
    log_norm, resp = observer.posterior(rows)
    label = resp.argmax(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(resp > 0, resp * np.log(resp), 0.0).sum(axis=1)
    weight = np.ones(len(resp)) if rows.sample_weight is None else rows.sample_weight
    probability = resp[np.arange(len(resp)), label]
    return Assigned(label, probability, log_norm, entropy, weight)
