"""The E-step of rows with angles beside Gaussian columns, whatever else they bring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray, Observed
from gmm_dask.errors import ConfigError, DataError
from gmm_dask.families.product import Product, ProductMoments
from gmm_dask.kernels import angles, noisy, table
from gmm_dask.kernels.reference import log_sum_exp
from gmm_dask.kernels.types import EStepSums, GaussianMoments, second_shape
from gmm_dask.marginals import Marginal, lifted
from gmm_dask.mixture import Mixture
from gmm_dask.observed import Observer
from gmm_dask.pieces import patterns, taken
from gmm_dask.tree import add

TILE = 8192


class Pattern(NamedTuple):
    """Rows with the same Gaussian columns observed."""

    places: IntArray | slice
    model: Marginal
    part: Observed
    """In the Gaussian columns that they have."""


class TiledObserver(Observer):
    """Measures rows tile by tile: what it holds of each row does not grow with a block."""

    def e_step(self, rows: Observed) -> EStepSums:
        """Return the E-step sums of rows, tile by tile; those without any value add nothing."""
        total = self._zero()
        if rows.group is not None:
            total = total._replace(count=np.zeros(self.mixture.weights.shape))
        for tile in tiles(with_values(rows)):
            total = add(total, self._tile(tile))
        return total

    def _tile(self, rows: Observed) -> EStepSums:
        """Return the sums of some rows, each with a value at least."""
        return super().e_step(rows)


class ProductObserver(TiledObserver):
    """Measures rows with angles: responsibilities of all columns, then moments of each kind.

    Parameters
    ----------
    mixture : Mixture
    family : Product
        Its family.
    """

    def __init__(self, mixture: Mixture, family: Product) -> None:
        super().__init__(mixture)
        self.family = family
        lines = replace(
            mixture,
            family=family.gaussian,
            params=family.of_lines(mixture.params),  # type: ignore[arg-type]
            frame=family.frame_of_lines(mixture.frame),
        )
        self.lines = Observer(lines)
        self.directions, self.kappa = family.of_angles(mixture.params)  # type: ignore[arg-type]

    def _tile(self, rows: Observed) -> EStepSums:
        log_norm, resp = self.posterior(rows)
        sums = self.given(rows, resp)
        weight = np.ones(len(resp)) if rows.sample_weight is None else rows.sample_weight
        volume = float(sums.n_rows) * self.mixture.frame.log_scale
        return sums._replace(log_likelihood=np.asarray(float(weight @ log_norm) + volume))

    def given(self, rows: Observed, resp: FloatArray) -> EStepSums:
        """Return the sums of rows under given responsibilities (n, K), their likelihood 0."""
        weight = np.ones(len(resp)) if rows.sample_weight is None else rows.sample_weight
        share = resp * weight[:, None]
        of_angles = angles.moments(self._halves(rows), self.directions, share)
        moments = ProductMoments(self._of_lines(rows, share), of_angles)
        zero, n = np.zeros(()), np.asarray(float(weight.sum()))
        count = by_group(share, rows.group, len(self.mixture.weights))
        return EStepSums(zero, n, count, moments, zero)

    def posterior(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Return log densities (n,) in source units, and responsibilities (n, K).

        As `Observer.posterior`.
        """
        refuse_noise(self.family.angles, rows)
        with np.errstate(divide="ignore"):
            joint = np.log(self._weights(rows))
        scale = np.log(self.mixture.frame.scale)
        volume = ~np.isnan(rows.values) @ scale
        for pattern in self._patterns(rows):
            if len(pattern.model.columns):
                joint[pattern.places] += self._log_prob(pattern)
        joint += angles.log_prob(self._halves(rows), self.directions, self.kappa)
        log_norm = log_sum_exp(joint)
        return log_norm - volume, np.exp(joint - log_norm[:, None])

    def true_values(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Refuse: expected angles have no mean on the line."""
        raise ConfigError(
            f"{len(rows.values)} rows came to be imputed or deconvolved under a mixture with "
            "angles (circular), which has no expected values on the line; leave these outputs out"
        )

    def _patterns(self, rows: Observed) -> Iterator[Pattern]:
        lines = in_columns(rows, self.family.lines)
        if not lines.values.shape[1]:
            return
        for columns, places in patterns(lines.values):
            model = self.lines.marginal(columns)
            yield Pattern(places, model, taken(lines, places, columns))

    def _log_prob(self, pattern: Pattern) -> FloatArray:
        """Return log densities (m, K) of the Gaussian columns, in the frame."""
        model, part = pattern.model, pattern.part
        if part.noise is None:
            return table.log_prob(model.prepared, part.values)
        even = model.noisy._replace(log_weights=np.zeros_like(model.noisy.log_weights))
        return noisy.log_joint(even, *self.lines._framed(model, part))

    def _of_lines(self, rows: Observed, share: FloatArray) -> GaussianMoments:
        """Return moments of the Gaussian columns, given responsibilities times weights."""
        kind = self.family.covariance_type
        total = self.family.zero_moments(share.shape[1], self.family.n_columns).lines
        for pattern in self._patterns(rows):
            own = np.ascontiguousarray(share[pattern.places])
            found = self._moments(pattern, own)
            total = add(total, lifted(pattern.model, kind, own.sum(axis=0), found))
        return total

    def _moments(self, pattern: Pattern, share: FloatArray) -> GaussianMoments:
        model, part = pattern.model, pattern.part
        K, d = share.shape[1], len(model.columns)
        kind = self.family.covariance_type
        if not d:
            return GaussianMoments(np.zeros((K, 0)), np.zeros(second_shape(kind, K, 0)))
        if part.noise is None:
            return table.moments(model.prepared, part.values, share)
        y, C = self.lines._framed(model, part)
        found = [
            noisy.e_step(_one(model.noisy, k), y, C, np.ascontiguousarray(share[:, k])).moments
            for k in range(K)
        ]
        first = np.concatenate([moments.first for moments in found])
        seconds = [moments.second for moments in found]
        return GaussianMoments(
            first, np.sum(seconds, axis=0) if kind == "tied" else np.concatenate(seconds)
        )

    def _halves(self, rows: Observed) -> angles.HalfAngles:
        family = self.family
        return angles.halves(family.von_mises.radians(rows.values[:, family.angles]))


def by_group(share: FloatArray, group: IntArray | None, n_groups: int) -> FloatArray:
    """Return sums (G, K) of shares (n, K) by group; (1, K) of rows without groups."""
    if group is None:
        total: FloatArray = share.sum(axis=0)[None]
        return total
    count = np.zeros((n_groups, share.shape[1]))
    np.add.at(count, group, share)
    return count


def with_values(rows: Observed) -> Observed:
    """Return the rows with at least one value."""
    some = ~np.isnan(rows.values).all(axis=1)
    return rows if some.all() else _at(rows, some)


def tiles(rows: Observed) -> Iterator[Observed]:
    """Yield the rows in runs, so that what is held of each does not grow with a block."""
    for lo in range(0, len(rows.values), TILE):
        yield _at(rows, slice(lo, lo + TILE))


def in_columns(rows: Observed, columns: IntArray) -> Observed:
    """Return rows in some columns, contiguous."""
    noise = rows.noise
    if noise is not None:
        noise = noise[:, columns] if noise.ndim == 2 else noise[:, columns[:, None], columns]
    return Observed(np.ascontiguousarray(rows.values[:, columns]), rows.sample_weight, noise)


def refuse_noise(columns: IntArray, rows: Observed) -> None:
    """Raise DataError where the value of an angle has an error."""
    if rows.noise is None:
        return
    seen = ~np.isnan(rows.values[:, columns])
    of_angles = rows.noise[:, columns]
    if of_angles.ndim == 3:
        of_angles = np.abs(of_angles).max(axis=2)
    wrong = seen & (of_angles != 0)
    if wrong.any():
        i, j = (int(place[0]) for place in np.nonzero(wrong))
        raise DataError(
            f"column {columns[j]} is an angle (circular), and a row gives it noise "
            f"{of_angles[i, j]:g}; angles are taken as exact: give them noise 0"
        )


def _at(rows: Observed, places: Any) -> Observed:
    return Observed(*(None if part is None else part[places] for part in rows))  # type: ignore[arg-type]


def _one(model: noisy.NoisyModel, k: int) -> noisy.NoisyModel:
    """Return one component as a model of its own."""
    S = model.covariances
    own = S if model.covariance_type == "tied" else S[k : k + 1]
    return noisy.NoisyModel(model.covariance_type, model.means[k : k + 1], own, np.zeros(1))
