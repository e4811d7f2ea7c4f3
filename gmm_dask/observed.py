"""The E-step of rows as they really come: with holes, errors of their own, and weights.

Rows with the same columns observed form a group. Of each component they see the marginal in these
columns, so the ordinary kernel measures them, and its sums are lifted to all columns (`marginals`).
Errors of the rows act inside a group, on the observed columns. So one likelihood serves holes,
errors and weights, in any combination.

References
----------
Bovy, Hogg and Roweis 2011, Ann. Appl. Stat. 5:1657.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gmm_dask import projected
from gmm_dask.blocks import FloatArray, IntArray, Observed
from gmm_dask.kernels import grouped, noisy, table
from gmm_dask.kernels.grouped import Group
from gmm_dask.kernels.reference import log_sum_exp
from gmm_dask.kernels.types import EStepSums
from gmm_dask.marginals import Marginal, lifted, marginals_of
from gmm_dask.mixture import Mixture

T = TypeVar("T")

TILE = 32768

KEPT_BYTES = 64 * 2**20
"""Of marginals; the patterns seen longest ago are derived again when they return."""
AT_ONCE = 128
"""Patterns whose rows are gathered and measured together."""


class Observer:
    """Measures rows under one mixture. Made once per pass and process; threads may share it.

    Parameters
    ----------
    mixture : Mixture
    """

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        self._marginals: OrderedDict[bytes, Marginal] = OrderedDict()
        self._lock = Lock()

    def marginal(self, columns: IntArray) -> Marginal:
        """Return the mixture in some columns, from a bounded cache."""
        return self.marginals([columns])[0]

    def marginals(self, patterns: Sequence[IntArray]) -> list[Marginal]:
        """Return the mixture in several choices of columns, from a bounded cache."""
        keys = [columns.tobytes() for columns in patterns]
        with self._lock:
            found = {key: self._marginals[key] for key in keys if key in self._marginals}
        missing = [columns for columns in patterns if columns.tobytes() not in found]
        for d in sorted({len(columns) for columns in missing}):
            alike = np.stack([columns for columns in missing if len(columns) == d])
            for model in marginals_of(
                self.mixture, alike, bounds=d == self._n_columns or self.bounded
            ):
                found[model.columns.tobytes()] = model
        with self._lock:
            for key in keys:
                self._marginals[key] = found[key]
                self._marginals.move_to_end(key)
            while len(self._marginals) > kept(self.mixture):
                self._marginals.popitem(last=False)
        return [found[key] for key in keys]

    @property
    def _n_columns(self) -> int:
        return self.mixture.n_columns

    @cached_property
    def bounded(self) -> bool:
        """Whether bounds dismiss components for complete rows; then they may for others."""
        return self.marginal(np.arange(self._n_columns)).kernel.layout.method.projected > 0

    def e_step(self, rows: Observed) -> EStepSums:
        """Return the E-step sums of rows; those without any value add nothing."""
        if rows.projection is not None:
            return projected.e_step(self.mixture, rows)
        total = self._zero()
        for some in batched(patterns(rows.values), min(AT_ONCE, kept(self.mixture))):
            groups = [(columns, places) for columns, places in some if len(columns)]
            models = self.marginals([columns for columns, _ in groups])
            for sums in self._sums(models, [places for _, places in groups], rows):
                _add_to(total, sums)
        return total

    def posterior(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Return log densities (n,) in source units, and responsibilities (n, K).

        A row's density is that of what was observed of it. Rows without any value have density 1
        and the weights as responsibilities.
        """
        if rows.projection is not None:
            return projected.posterior(self.mixture, rows)
        log_norm = np.zeros(len(rows.values))
        resp = np.tile(self.mixture.weights[0], (len(rows.values), 1))
        scale = np.log(self.mixture.frame.scale)
        for columns, places in patterns(rows.values):
            if len(columns):
                model, part = self.marginal(columns), taken(rows, places, columns)
                norm, resp[places] = self._posterior(model, part)
                log_norm[places] = norm - scale[columns].sum()
        return log_norm, resp

    def true_values(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Return the posterior mean (n, D) and covariance (n, D, D) of true, complete rows.

        In source units. What was observed without error comes back as it is.
        """
        if rows.projection is not None:
            return projected.true_values(self.mixture, rows)
        n, D = rows.values.shape
        mean, covariance = np.empty((n, D)), np.empty((n, D, D))
        for columns, places in patterns(rows.values):
            model, part = self.marginal(columns), taken(rows, places, columns)
            mean[places], covariance[places] = self._expected(model, part)
        frame = self.mixture.frame
        return frame.backward(mean), covariance * np.outer(frame.scale, frame.scale)

    def _sums(
        self, models: list[Marginal], places: list[IntArray | slice], rows: Observed
    ) -> Iterator[EStepSums]:
        """Yield the sums of rows of each pattern, lifted to all columns."""
        pairs = list(zip(models, places, strict=True))
        groups = [
            Group(model.kernel, at, model.columns)
            for model, at in pairs
            if isinstance(at, np.ndarray)
        ]
        alike = len(groups) < len(pairs)
        if alike or rows.noise is not None or rows.sample_weight is not None:
            found = [self._group(model, taken(rows, at, model.columns)) for model, at in pairs]
        else:
            found = grouped.e_step(rows.values, groups)
        kind = self.mixture.family.covariance_type
        for model, sums in zip(models, found, strict=True):
            volume = sums.log_likelihood + sums.n_rows * model.log_scale
            moments = lifted(model, kind, sums.count[0], sums.moments)
            yield sums._replace(log_likelihood=volume, moments=moments)

    def _group(self, model: Marginal, part: Observed) -> EStepSums:
        """Return the sums of rows of one pattern, in its columns."""
        weight = part.sample_weight
        if part.noise is not None:
            y, C = self._framed(model, part)
            ones = np.ones(len(y)) if weight is None else weight
            found = noisy.e_step(model.noisy, y, C, ones)
            likelihood, n = np.asarray(found.log_likelihood), np.asarray(float(ones.sum()))
            return EStepSums(likelihood, n, found.count[None], found.moments, np.zeros(()))
        return table.measure(model.kernel, part.values, weight)

    def _zero(self) -> EStepSums:
        mixture = self.mixture
        moments = mixture.family.zero_moments(mixture.n_components, mixture.n_columns)
        likelihood, n, none = (np.zeros(()) for _ in range(3))
        return EStepSums(likelihood, n, np.zeros((1, mixture.n_components)), moments, none)

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
        resp = self._posterior(model, part)[1] if d else np.tile(self.mixture.weights[0], (n, 1))
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


def _add_to(total: EStepSums, sums: EStepSums) -> None:
    """Add sums in place: there may be one for each pattern of each block."""
    pairs = zip((*total[:3], *total.moments), (*sums[:3], *sums.moments), strict=True)
    for array, part in pairs:
        np.add(array, part, out=array)


def marginal_bytes(mixture: Mixture) -> int:
    """Return an upper bound of the bytes of one marginal."""
    return 8 * 3 * mixture.n_components * mixture.n_columns**2


def kept(mixture: Mixture) -> int:
    """Return how many marginals are kept."""
    return max(KEPT_BYTES // marginal_bytes(mixture), 2)


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
    n, D = values.shape
    words = words_of(values)
    if not any(word.any() for word in words):
        if n:
            yield np.arange(D), slice(None)
        return
    order = np.argsort(words[0], kind="stable") if D <= 16 else np.lexsort(words)
    new = np.zeros(n - 1, dtype=bool)
    for word in words:
        ordered = word.take(order)
        new |= ordered[1:] != ordered[:-1]
    for places in np.split(order, np.flatnonzero(new) + 1):
        yield np.flatnonzero(~np.isnan(values[places[0]])), places


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield consecutive items in lists of at most `size`."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def words_of(values: Any) -> npt.NDArray[np.uint16]:
    """Return which values (n, D) are NaN as bits of words (-(-D // 16), n).

    Words of 16 bits sort in linear time.
    """
    n, D = values.shape
    words = np.zeros((-(-D // 16), n), dtype=np.uint16)
    for lo in range(0, n, TILE):
        tile = slice(lo, lo + TILE)
        holes = np.isnan(values[tile])
        for j in range(D):
            words[j // 16, tile] |= holes[:, j].astype(np.uint16) << np.uint16(j % 16)
    return words


def taken(rows: Observed, places: IntArray | slice, columns: IntArray) -> Observed:
    """Return some rows in some columns."""
    if isinstance(places, slice):
        return rows
    values, weight, noise = (
        None if part is None else part.take(places, axis=0) for part in rows[:3]
    )
    assert values is not None
    values = values.take(columns, axis=1)
    if noise is not None:
        inside = noise[:, columns] if noise.ndim == 2 else noise[:, columns[:, None], columns]
        noise = np.ascontiguousarray(inside)
    return Observed(values, weight, noise)
