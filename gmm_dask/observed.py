"""The E-step of rows as they really come: with holes, errors of their own, and weights.

Rows with the same columns observed form a pattern. Of each component they see the marginal in these
columns, so the ordinary kernel measures them, and its sums are lifted to all columns (`marginals`).
Errors of the rows act inside a pattern, on the observed columns. Rows of one group (a well, a
plate) have weights of their own in the mixture: the kernel measures them group by group. So one
likelihood serves holes, errors, weights and groups, in any combination.

References
----------
Bovy, Hogg and Roweis 2011, Ann. Appl. Stat. 5:1657.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import BoolArray, FloatArray, IntArray, Observed
from gmm_dask.errors import ConfigError
from gmm_dask.kernels import grouped, noisy, table
from gmm_dask.kernels.annealed import unit_of
from gmm_dask.kernels.reference import log_sum_exp
from gmm_dask.kernels.types import EStepSums
from gmm_dask.marginals import Marginal, lifted, marginal_of, of_group
from gmm_dask.mixture import Mixture
from gmm_dask.row_groups import are_small, in_place, some_of, sorted_by_group
from gmm_dask.tree import add

POOLED, ALIKE = -1, -2
"""For a group: rows that have none; log weights of 0."""
SOFT_ONLY = (
    "hard (or tempered) assignment of rows with errors of their own is not there: errors blur the "
    'labels; use assignment="soft", or leave the noise out'
)
KEPT_BYTES = 64 * 2**20
"""Of marginals; the patterns seen longest ago are derived again when they return."""


class Observer:
    """Measures rows under one mixture. Made once per pass and process; threads may share it.

    Parameters
    ----------
    mixture : Mixture
    temperature : float
        Of `e_step`; see `kernels.annealed`.
    """

    def __init__(self, mixture: Mixture, temperature: float = 1.0) -> None:
        self.mixture = mixture
        self.temperature = temperature
        self._marginals: OrderedDict[tuple[bytes, int], Marginal] = OrderedDict()
        self._lock = Lock()

    def marginal(self, columns: IntArray, group: int = POOLED) -> Marginal:
        """Return the mixture in some columns, under a group's weights, from a bounded cache."""
        key = columns.tobytes(), group
        with self._lock:
            found = self._marginals.get(key)
            if found is not None:
                self._marginals.move_to_end(key)
                return found
        if group == POOLED:
            found = marginal_of(self.mixture, columns, self.temperature)
        elif group == ALIKE:
            found = of_group(self.marginal(columns), np.ones(self.mixture.n_components))
        else:
            weights = self.mixture.weights[group]
            found = of_group(self.marginal(columns), weights, self.temperature)
        with self._lock:
            self._marginals[key] = found
            while len(self._marginals) > kept(self.mixture):
                self._marginals.popitem(last=False)
        return found

    def e_step(self, rows: Observed) -> EStepSums:
        """Return the E-step sums of rows; those without any value add nothing."""
        total, rows = self._zero(), sorted_by_group(rows)[0]
        G, K = self.mixture.weights.shape
        count = np.zeros((1 if rows.group is None else G, K))
        if self.temperature == 1 and rows.noise is None and are_small(rows.group):
            for columns, places in patterns(rows.values):
                if len(columns):
                    sums, found = self._together(columns, taken(rows, places, columns))
                    total, count = add(total, sums), count + found
            return total._replace(count=count)
        for group, columns, places in pieces(rows):
            if len(columns):
                model = self.marginal(columns, group)
                sums = self._pattern(model, taken(rows, places, columns))
                count[max(group, 0)] += sums.count[0]
                total = add(total, sums)
        return total._replace(count=count)

    def posterior(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Return log densities (n,) in source units, and responsibilities (n, K).

        A row's density is that of what was observed of it. Rows without any value have density 1
        and the weights as responsibilities.
        """
        rows, order = sorted_by_group(rows)
        log_norm = np.zeros(len(rows.values))
        resp = self._weights(rows)
        scale = np.log(self.mixture.frame.scale)
        for group, columns, places in pieces(rows):
            if len(columns):
                model, part = self.marginal(columns, group), taken(rows, places, columns)
                norm, resp[places] = self._posterior(model, part)
                log_norm[places] = norm - scale[columns].sum()
        return in_place(log_norm, order), in_place(resp, order)

    def true_values(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Return the posterior mean (n, D) and covariance (n, D, D) of true, complete rows.

        In source units. What was observed without error comes back as it is.
        """
        rows, order = sorted_by_group(rows)
        n, D = rows.values.shape
        mean, covariance = np.empty((n, D)), np.empty((n, D, D))
        for group, columns, places in pieces(rows):
            model, part = self.marginal(columns, group), taken(rows, places, columns)
            mean[places], covariance[places] = self._expected(model, part)
        frame = self.mixture.frame
        mean, covariance = in_place(mean, order), in_place(covariance, order)
        return frame.backward(mean), covariance * np.outer(frame.scale, frame.scale)

    def _weights(self, rows: Observed) -> FloatArray:
        """Return the weights (n, K) of rows, whatever their values."""
        if rows.group is None:
            return np.tile(self.mixture.pooled, (len(rows.values), 1))
        return self.mixture.weights[rows.group]

    def _together(self, columns: IntArray, part: Observed) -> tuple[EStepSums, FloatArray]:
        """Return the sums of rows of one pattern in many small groups, and counts (G, K)."""
        model = self.marginal(columns, ALIKE)
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.mixture.weights)
        assert part.group is not None
        ones = np.ones(len(part.values))
        weight = ones if part.sample_weight is None else part.sample_weight
        given = (part.values, log_weights, part.group, weight)
        sums, count = grouped.e_step(model.kernel, *given)
        return self._lifted(model, sums), count

    def _pattern(self, model: Marginal, part: Observed) -> EStepSums:
        """Return the sums of rows of one pattern, lifted to all columns."""
        weight = part.sample_weight
        if part.noise is not None:
            if self.temperature != 1:
                raise ConfigError(SOFT_ONLY)
            y, C = self._framed(model, part)
            ones = np.ones(len(y)) if weight is None else weight
            found = noisy.e_step(model.noisy, y, C, ones)
            likelihood, n = np.asarray(found.log_likelihood), np.asarray(float(ones.sum()))
            sums = EStepSums(likelihood, n, found.count[None], found.moments, np.zeros(()))
        else:
            sums = table.measure(model.kernel, part.values, weight)
        return self._lifted(model, sums)

    def _lifted(self, model: Marginal, sums: EStepSums) -> EStepSums:
        of_rows = sums.log_likelihood * unit_of(self.temperature)
        volume = of_rows + sums.n_rows * model.log_scale
        kind = self.mixture.family.covariance_type
        moments = lifted(model, kind, sums.count[0], sums.moments)
        return sums._replace(log_likelihood=volume, moments=moments)

    def _zero(self) -> EStepSums:
        mixture = self.mixture
        zero = np.zeros(())
        moments = mixture.family.zero_moments(mixture.n_components, mixture.n_columns)
        return EStepSums(zero, zero, np.zeros((1, mixture.n_components)), moments, zero)

    def _framed(self, model: Marginal, part: Observed) -> tuple[FloatArray, FloatArray]:
        """Return rows and their noise in the frame."""
        scale, shift = model.prepared.scale, model.prepared.shift
        assert part.noise is not None
        of_noise = scale**2 if part.noise.ndim == 2 else np.outer(scale, scale)
        return (part.values - shift) / scale, part.noise / of_noise

    def _posterior(self, model: Marginal, part: Observed) -> tuple[FloatArray, FloatArray]:
        if part.noise is None:
            return table.posterior(model.kernel, part.values)
        joint = noisy.log_joint(model.noisy, *self._framed(model, part))
        norm = log_sum_exp(joint)
        return norm, np.exp(joint - norm[:, None])

    def _expected(self, model: Marginal, part: Observed) -> tuple[FloatArray, FloatArray]:
        """Return posterior means (n, D) and covariances (n, D, D), in the frame."""
        means = self.mixture.params.means
        n, (K, D) = len(part.values), means.shape
        d = len(model.columns)
        noise = np.zeros((n, d)) if part.noise is None else part.noise
        y, C = self._framed(model, part._replace(noise=noise))
        resp = self._posterior(model, part)[1] if d else self._weights(part)
        mean, square = np.zeros((n, D)), np.zeros((n, D, D))
        for k in range(K):
            found = noisy.posterior(model.noisy.means[k], model.noisy.covariance(k), y, C)
            spare = found.spare
            if spare.ndim == 2:
                spare = spare[:, :, None] * np.eye(d)
            b = means[k] + found.step @ model.lift[k].T
            B = model.lift[k] @ spare @ model.lift[k].T + model.spare[k]
            mean += resp[:, k, None] * b
            square += resp[:, k, None, None] * (B + b[:, :, None] * b[:, None, :])
        return mean, square - mean[:, :, None] * mean[:, None, :]


def marginal_bytes(mixture: Mixture) -> int:
    """Return an upper bound of the bytes of one marginal."""
    return 8 * 3 * mixture.n_components * mixture.n_columns**2


def kept(mixture: Mixture) -> int:
    """Return how many marginals are kept."""
    return max(KEPT_BYTES // marginal_bytes(mixture), 2)


def pieces(rows: Observed) -> Iterator[tuple[int, IntArray, IntArray | slice]]:
    """Yield rows of one group with the same columns observed: group, columns and places.

    Parameters
    ----------
    rows : Observed
        By group.
    """
    if rows.group is None or not len(rows.group):
        for columns, places in patterns(rows.values):
            yield POOLED, columns, places
        return
    ends = [*(np.flatnonzero(np.diff(rows.group)) + 1), len(rows.group)]
    for lo, hi in pairwise([0, *ends]):
        for columns, places in patterns(rows.values[lo:hi]):
            here = slice(lo, hi) if isinstance(places, slice) else lo + places
            yield int(rows.group[lo]), columns, here


def patterns(values: Any) -> Iterator[tuple[IntArray, IntArray | slice]]:
    """Yield the columns (d,) that some rows have in common, and the places of these rows.

    Parameters
    ----------
    values : (n, D) array
        NaN where missing.

    Yields
    ------
    columns : (d,)
    places : (m,) or slice
        Ascending; a slice where all rows are alike.
    """
    holes = np.isnan(values)
    n, D = holes.shape
    if not holes.any():
        if n:
            yield np.arange(D), slice(None)
        return
    words = words_of(holes)
    order = np.lexsort(words)
    new = np.zeros(n - 1, dtype=bool)
    for word in words:
        ordered = word.take(order)
        new |= ordered[1:] != ordered[:-1]
    for places in np.split(order, np.flatnonzero(new) + 1):
        yield np.flatnonzero(~holes[places[0]]), places


def words_of(holes: BoolArray) -> npt.NDArray[np.uint16]:
    """Return rows of truth values (n, D) as words (-(-D // 16), n), which sort in linear time."""
    n, D = holes.shape
    words = np.zeros((-(-D // 16), n), dtype=np.uint16)
    for j in range(D):
        words[j // 16] |= holes[:, j].astype(np.uint16) << np.uint16(j % 16)
    return words


def taken(rows: Observed, places: IntArray | slice, columns: IntArray) -> Observed:
    """Return some rows in some columns."""
    if isinstance(places, slice):
        return some_of(rows, places)
    values = rows.values.take(places, axis=0).take(columns, axis=1)
    weight = None if rows.sample_weight is None else rows.sample_weight.take(places)
    group = None if rows.group is None else rows.group.take(places)
    noise = None if rows.noise is None else rows.noise.take(places, axis=0)
    if noise is not None:
        inside = noise[:, columns] if noise.ndim == 2 else noise[:, columns[:, None], columns]
        noise = np.ascontiguousarray(inside)
    return Observed(values, weight, noise, group)
