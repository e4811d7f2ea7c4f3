"""Gaussian components of which some parameters are held, or shared.

The M-step maximises under these constraints: a held parameter keeps its bits; with a held mean the
covariance is taken about it; covariances equal among components are those of their rows together;
means on a line ``a + b t`` come from weighted least squares under the present covariances (a
conditional maximisation, which raises the likelihood too).

References
----------
Meng and Rubin 1993, Biometrika 80:267 (ECM); Kim and Taylor 1995, JASA 90:708 (restricted EM).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import ConfigError
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.families.lines import Line, means_on_line


class Held(NamedTuple):
    """Which parameters are not free, by component."""

    weights: tuple[int, ...] = ()
    means: tuple[int, ...] = ()
    covariances: tuple[int, ...] = ()
    equal_covariances: tuple[tuple[int, ...], ...] = ()
    """Groups of components of one covariance."""
    lines: tuple[Line, ...] = ()
    """Groups of components whose means are equal, or on a line."""

    @property
    def components(self) -> tuple[int, ...]:
        """The components with any constraint, ascending: they keep their place."""
        groups = (*self.equal_covariances, *(line.components for line in self.lines))
        some = {*self.weights, *self.means, *self.covariances, *(k for g in groups for k in g)}
        return tuple(sorted(some))

    @property
    def of_family(self) -> Held:
        """Constraints without those on weights, which are a law's."""
        return self._replace(weights=())


def check_held(held: Held, n_components: int, covariance_type: str) -> None:
    """Raise ConfigError unless constraints make sense for a mixture.

    Parameters
    ----------
    held : Held
    n_components : int
    covariance_type : str
    """
    K = n_components
    for k in held.components:
        if not 0 <= k < K:
            raise ConfigError(
                f"frozen: component {k} is named; there are {K}, numbered from 0: raise "
                "n_components"
            )
    some = 0 < len(held.covariances) < K
    if covariance_type == "tied" and (some or held.equal_covariances):
        raise ConfigError(
            "covariance_type is tied: one covariance serves all components, so it is held for all "
            "of them or for none"
        )
    _refuse_twice("means", [held.means, *(line.components for line in held.lines)])
    _refuse_twice("covariances", [held.covariances, *held.equal_covariances])


def _refuse_twice(what: str, groups: list[tuple[int, ...]]) -> None:
    named = [k for group in groups for k in group]
    twice = sorted({k for k in named if named.count(k) > 1})
    if twice:
        raise ConfigError(
            f"{what} of component {twice[0]} are constrained twice; hold them, or name them in one "
            "group"
        )


@dataclass(frozen=True)
class HeldGaussian(Gaussian):
    """The Gaussian family with constraints between the components.

    Parameters
    ----------
    held : Held
        Without weights.
    held_means : (m, D) float64, optional
        The means that are held, as they were given in source units: a frame holds them to half a
        unit in the last place of their distance from its origin.

    Raises
    ------
    ConfigError
        A prior on means that are not free.
    """

    held: Held = field(default_factory=Held)
    held_means: FloatArray | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior is not None and (self.held.means or self.held.lines):
            raise ConfigError(
                "covariance_prior draws means towards the mean of all rows, and frozen holds some: "
                "leave covariance_prior out, or hold weights and covariances only"
            )
        if self.prior is not None and self.held.equal_covariances:
            raise ConfigError(
                "covariance_prior is for each covariance; with equal ones leave it out"
            )

    @property
    def kept(self) -> tuple[int, ...]:
        """Components that keep their place."""
        return self.held.components

    def maximize(self, params: GaussianParams, count: FloatArray, moments: Any) -> GaussianParams:
        """Return the M-step under the constraints; see `Gaussian.maximize`."""
        return self.restored(super().maximize(params, count, moments), params)

    def restored(self, params: GaussianParams, origin: GaussianParams) -> GaussianParams:
        """Return parameters with what is held as it is in others, and what is equal made so."""
        means, S = params.means, params.covariances
        held, groups = list(self.held.covariances), self.held.equal_covariances
        if self.held.means:
            means = means.copy()
            means[list(self.held.means)] = origin.means[list(self.held.means)]
        if self.covariance_type == "tied":
            return GaussianParams(means, origin.covariances if held else S)
        if held or groups:
            S = S.copy()
            S[held] = origin.covariances[held]
            for group in groups:
                S[list(group)] = S[group[0]]
        return GaussianParams(means, S)

    def entered(self, params: GaussianParams, weights: FloatArray) -> GaussianParams:
        """Return parameters of a start made to share what components are to share.

        Parameters
        ----------
        params : GaussianParams
        weights : (K,)
        """
        means, S = params.means.copy(), params.covariances.copy()
        precisions = np.linalg.inv(self.dense(params)) * weights[:, None, None]
        for line in self.held.lines:
            of = list(line.components)
            means[of] = means_on_line(line, means[of], precisions[of])
        for group in map(list, self.held.equal_covariances):
            S[group] = np.average(S[group], axis=0, weights=weights[group])
        return GaussianParams(means, S)

    def reported(self, means: FloatArray) -> FloatArray:
        """Return means (K, D) in source units, those that are held with the bits given."""
        if self.held_means is None:
            return means
        told = means.copy()
        told[list(self.held.means)] = self.held_means
        return told

    def clipped(self, params: GaussianParams) -> GaussianParams:
        """Return parameters raised to the floor, but for those that are held."""
        return self.restored(super().clipped(params), params)

    def _steps(self, params: GaussianParams, step: FloatArray, count: FloatArray) -> FloatArray:
        steps = step.copy()
        steps[list(self.held.means)] = 0.0
        if not self.held.lines:
            return steps
        precisions = np.linalg.inv(self.dense(params)) * count[:, None, None]
        for line in self.held.lines:
            of = list(line.components)
            found = means_on_line(line, params.means[of] + step[of], precisions[of])
            steps[of] = found - params.means[of]
        return steps

    def _about(
        self, second: FloatArray, count: FloatArray, mean_step: FloatArray, step: FloatArray
    ) -> FloatArray:
        about = super()._about(second, count, mean_step, mean_step)
        # what the means lie off those of their rows adds to the spread
        return self._about_new_mean(about, -count, mean_step - step)

    def _covariances(
        self,
        params: GaussianParams,
        scatter: FloatArray,
        n: FloatArray,
        count: FloatArray,
        alive: Any,
    ) -> FloatArray:
        if self.held.equal_covariances:
            scatter, n, alive = scatter.copy(), n.copy(), alive.copy()
            for group in map(list, self.held.equal_covariances):
                rows = count[group].sum()
                scatter[group] = scatter[group].sum(axis=0)
                alive[group] = alive[group].any()
                n[group] = rows if rows > 0 else 1.0
        return super()._covariances(params, scatter, n, count, alive)

    def n_free(self, n_components: int, n_columns: int) -> int:
        """Return the number of free parameters of means and covariances."""
        held, D = self.held, n_columns
        size = {"full": D * (D + 1) // 2, "tied": 0, "diag": D, "spherical": 1}
        shared = sum(len(group) - 1 for group in held.equal_covariances)
        lost = size[self.covariance_type] * (len(held.covariances) + shared)
        if self.covariance_type == "tied" and held.covariances:
            lost = D * (D + 1) // 2
        bound = sum(len(line.components) - line.n_free for line in held.lines)
        return super().n_free(n_components, n_columns) - lost - D * (len(held.means) + bound)

    def check(self, params: GaussianParams) -> tuple[str, ...]:
        """Return one sentence for every component whose covariance, not held, is on the floor."""
        ratio = self.floor.touches(self.dense(params))
        ratio[list(self.held.covariances)] = np.inf
        return tuple(
            f"component {k} is flat: its smallest variance lies on the floor"
            for k in np.flatnonzero(ratio < 1.01)
        )


def constrained(family: Gaussian, held: Held, means: FloatArray | None = None) -> Gaussian:
    """Return a family under constraints, as it is where there are none.

    Parameters
    ----------
    family : Gaussian
    held : Held
    means : (K, D), optional
        In source units, as they were given.
    """
    if held.of_family == Held():
        return family
    given = means[list(held.means)] if means is not None and held.means else None
    return HeldGaussian(family.covariance_type, family.floor, family.prior, held.of_family, given)
