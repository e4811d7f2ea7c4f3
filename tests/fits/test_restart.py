"""A restart: a start, then EM, as a value."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.beginnings import in_frame
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.given import Given
from gmm_dask.fits.restart import Restart
from gmm_dask.folds.e_step import EStep
from gmm_dask.initial import Ground
from gmm_dask.search import Grid, restarts
from tests.strategies import KINDS, ask, clusters, frame_of, mixture_near

X, _ = clusters(300, 2, 3)


def first(kind: str = "full", given: dict | None = None, **words) -> Restart:
    grid = Grid((3,), (kind,), **words)
    return restarts(grid, Ground(frame_of(X), X), given)[0]


def test_it_starts_then_runs():
    fit = first()
    assert fit.em is None
    assert fit.lower_bound == float("-inf")
    assert (fit.n_components, fit.covariance_type, fit.init) == (3, "full", "kmeans")
    following = fit.tell(ask(fit.ask(), X))
    assert fit.em is None  # telling makes another value
    assert following.start is None
    assert isinstance(following.ask(), EStep)
    while following.outcome is None:
        following = following.tell(ask(following.ask(), X))
    assert following.outcome is Outcome.CONVERGED
    assert following.lower_bound == following.em.lower_bounds[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_given_parameters_are_put_in_place(kind):
    mixture = mixture_near(X, kind, 3)
    given = {
        "weights": np.array([0.2, 0.3, 0.5]),
        "means": mixture.means,
        "covariances": mixture.covariances,
    }
    fit = first(kind, given)
    assert fit.em is not None  # nothing is left for a start to find
    np.testing.assert_allclose(fit.em.mixture.means, mixture.means, rtol=1e-12)
    np.testing.assert_allclose(fit.em.mixture.covariances, mixture.covariances, rtol=1e-12)
    np.testing.assert_array_equal(fit.em.mixture.weights, [[0.2, 0.3, 0.5]])


@pytest.mark.parametrize("part", ["weights", "means", "covariances"])
def test_one_given_part_leaves_the_others_to_the_start(part):
    mixture = mixture_near(X, "full", 3)
    wanted = {
        "weights": mixture.weights[0],
        "means": mixture.means,
        "covariances": mixture.covariances,
    }
    fit = first("full", {part: wanted[part]})
    fit = fit.tell(ask(fit.ask(), X))
    plain = first()
    plain = plain.tell(ask(plain.ask(), X))
    for name in wanted:
        ours = np.squeeze(getattr(fit.em.mixture, name))
        other = wanted[name] if name == part else np.squeeze(getattr(plain.em.mixture, name))
        np.testing.assert_allclose(ours, other, rtol=1e-10, atol=1e-12)


def test_given_into_changes_only_what_is_given():
    mixture = mixture_near(X, "full", 3)
    assert Given().into(mixture).fingerprint == mixture.fingerprint
    moved = Given(means=mixture.params.means + 1.0).into(mixture)
    np.testing.assert_array_equal(moved.params.covariances, mixture.params.covariances)
    assert moved.fingerprint != mixture.fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_in_frame_is_the_inverse_of_source_units(kind):
    mixture = mixture_near(X * 1000.0, kind, 3)
    given = in_frame({"means": mixture.means, "covariances": mixture.covariances}, mixture)
    np.testing.assert_allclose(given.means, mixture.params.means, atol=1e-12)
    np.testing.assert_array_equal(given.covariances, mixture.params.covariances)
    assert given.weights is None
