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
from collections.abc import Iterator, Sequence
from functools import cached_property
from threading import Lock

import numpy as np

from gmm_dask import projected
from gmm_dask.blocks import FloatArray, IntArray, Observed
from gmm_dask.errors import ConfigError
from gmm_dask.kernels import by_pattern, grouped, noisy, table
from gmm_dask.kernels.annealed import unit_of
from gmm_dask.kernels.by_pattern import Group
from gmm_dask.kernels.reference import log_sum_exp
from gmm_dask.kernels.types import EStepSums
from gmm_dask.marginals import Marginal, lifted, marginals_of, of_group
from gmm_dask.mixture import Mixture
from gmm_dask.pieces import POOLED, batched, patterns, pieces, taken
from gmm_dask.row_groups import are_small, sorted_by_group

Key = tuple[bytes, int]
ALIKE = -2
"""For a group: log weights of 0."""
SOFT_ONLY = (
    "hard (or tempered) assignment of rows with errors of their own is not there: errors blur the "
    'labels; use assignment="soft", or leave the noise out'
)

KEPT_BYTES = 64 * 2**20
"""Of marginals; the patterns seen longest ago are derived again when they return."""
AT_ONCE = 128
"""Patterns whose rows are gathered and measured together."""


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
        self._marginals: OrderedDict[Key, Marginal] = OrderedDict()
        self._lock = Lock()

    def marginal(self, columns: IntArray, group: int = POOLED) -> Marginal:
        """Return the mixture in some columns, under a group's weights, from a bounded cache."""
        return self.marginals([(columns, group)])[0]

    def marginals(self, wanted: Sequence[tuple[IntArray, int]]) -> list[Marginal]:
        """Return the mixture in choices of columns, each under a group's weights; as `marginal`."""
        keys = [(columns.tobytes(), group) for columns, group in wanted]
        with self._lock:
            found = {key: self._marginals[key] for key in keys if key in self._marginals}
        lacking = {
            key[0]: one[0] for key, one in zip(keys, wanted, strict=True) if key not in found
        }
        pooled = self._pooled(list(lacking.values()))
        for key in keys:
            if key not in found:
                model, group = pooled[key[0]], key[1]
                found[key] = model if group == POOLED else self._of_group(model, group)
        with self._lock:
            for key in keys:
                self._marginals[key] = found[key]
                self._marginals.move_to_end(key)
            while len(self._marginals) > kept(self.mixture):
                self._marginals.popitem(last=False)
        return [found[key] for key in keys]

    def _pooled(self, patterns: list[IntArray]) -> dict[bytes, Marginal]:
        """Return marginals under the weights of all rows, those of equal size made together."""
        found, D = {}, self.mixture.n_columns
        for d in sorted({len(columns) for columns in patterns}):
            alike = np.stack([columns for columns in patterns if len(columns) == d])
            bounds = d == D or self.bounded
            for model in marginals_of(self.mixture, alike, self.temperature, bounds=bounds):
                found[model.columns.tobytes()] = model
        return found

    def _of_group(self, model: Marginal, group: int) -> Marginal:
        alike = group == ALIKE
        weights = np.ones(self.mixture.n_components) if alike else self.mixture.weights[group]
        bounds = len(model.columns) == self.mixture.n_columns or self.bounded
        return of_group(model, weights, self.temperature, bounds=bounds)

    @cached_property
    def bounded(self) -> bool:
        """Whether bounds dismiss components for complete rows; then they may for others."""
        return self.marginal(np.arange(self.mixture.n_columns)).kernel.layout.method.projected > 0

    def e_step(self, rows: Observed) -> EStepSums:
        """Return the E-step sums of rows; those without any value add nothing."""
        if rows.projection is not None:
            if self.temperature != 1:
                raise ConfigError(SOFT_ONLY)
            return projected.e_step(self.mixture, rows)
        total = self._zero()
        G, K = self.mixture.weights.shape
        count = np.zeros((1 if rows.group is None else G, K))
        in_order = sorted_by_group(rows)[0]
        if self.temperature == 1 and rows.noise is None and are_small(in_order.group):
            return self._of_small_groups(in_order)
        for some in batched(pieces(rows), min(AT_ONCE, kept(self.mixture))):
            mine = [piece for piece in some if len(piece[1])]
            models = self.marginals([(columns, group) for group, columns, _ in mine])
            found = self._sums(models, [places for *_, places in mine], rows)
            for (group, *_), sums in zip(mine, found, strict=True):
                count[max(group, 0)] += sums.count[0]
                _add_to(total, sums)
        return total._replace(count=count)

    def _of_small_groups(self, rows: Observed) -> EStepSums:
        """Return the sums of rows in many small groups, ascending, measured together."""
        total, count = self._zero(), np.zeros(self.mixture.weights.shape)
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.mixture.weights)
        for columns, places in patterns(rows.values):
            if len(columns):
                model, part = self.marginal(columns, ALIKE), taken(rows, places, columns)
                ones = np.ones(len(part.values))
                weight = ones if part.sample_weight is None else part.sample_weight
                assert part.group is not None
                given = (part.values, log_weights, part.group, weight)
                sums, found = grouped.e_step(model.kernel, *given)
                _add_to(total, self._lifted(model, sums))
                count += found
        return total._replace(count=count)

    def posterior(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Return log densities (n,) in source units, and responsibilities (n, K).

        A row's density is that of what was observed of it. Rows without any value have density 1
        and the weights as responsibilities.
        """
        if rows.projection is not None:
            return projected.posterior(self.mixture, rows)
        log_norm = np.zeros(len(rows.values))
        resp = self._weights(rows)
        scale = np.log(self.mixture.frame.scale)
        for group, columns, places in pieces(rows):
            if len(columns):
                model, part = self.marginal(columns, group), taken(rows, places, columns)
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
        for group, columns, places in pieces(rows):
            model, part = self.marginal(columns, group), taken(rows, places, columns)
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
        alike = len(groups) < len(pairs) or any(model.kernel.near for model in models)
        if alike or rows.noise is not None or rows.sample_weight is not None:
            found = [self._piece(model, taken(rows, at, model.columns)) for model, at in pairs]
        else:
            found = by_pattern.e_step(rows.values, groups)
        yield from map(self._lifted, models, found)

    def _lifted(self, model: Marginal, sums: EStepSums) -> EStepSums:
        """Return sums over the columns of a pattern as sums over all of them."""
        of_rows = sums.log_likelihood * unit_of(self.temperature)
        volume = of_rows + sums.n_rows * model.log_scale
        kind = self.mixture.family.covariance_type
        moments = lifted(model, kind, sums.count[0], sums.moments)
        return sums._replace(log_likelihood=volume, moments=moments)

    def _weights(self, rows: Observed) -> FloatArray:
        """Return the weights (n, K) of rows, whatever their values."""
        if rows.group is None:
            return np.tile(self.mixture.pooled, (len(rows.values), 1))
        return self.mixture.weights[rows.group]

    def _piece(self, model: Marginal, part: Observed) -> EStepSums:
        """Return the sums of rows of one pattern, in its columns."""
        weight = part.sample_weight
        if part.noise is not None:
            if self.temperature != 1:
                raise ConfigError(SOFT_ONLY)
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


def _add_to(total: EStepSums, sums: EStepSums) -> None:
    """Add sums, but for counts, in place: there may be one for each pattern of each block."""
    pairs = zip((*total[:2], *total.moments), (*sums[:2], *sums.moments), strict=True)
    for array, part in pairs:
        np.add(array, part, out=array)


def marginal_bytes(mixture: Mixture) -> int:
    """Return an upper bound of the bytes of one marginal."""
    return 8 * 3 * mixture.n_components * mixture.n_columns**2


def kept(mixture: Mixture) -> int:
    """Return how many marginals are kept."""
    return max(KEPT_BYTES // marginal_bytes(mixture), 2)
