"""Identical components are found and parted, and nothing else of the mixture moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnMixture

from gmm_dask.fits.split import identical_pairs, split_identical
from gmm_dask.fits.squarem import Squarem
from gmm_dask.folds.e_step import EStep
from gmm_dask.mixture import Mixture, m_step
from tests.strategies import KINDS, ask, clusters, mixture_near

EVERY = pytest.mark.parametrize("kind", KINDS)
X, _ = clusters(900, 3, 4, seed=2, apart=7.0)


def with_copies(kind: str, sources: list[int], shift: float = 0.0) -> Mixture:
    """Return a mixture whose component i is a copy of component sources[i], moved by `shift`."""
    mixture = mixture_near(X, kind, len(sources), seed=1)
    params = mixture.family.reorder(mixture.params, np.array(sources))
    means = params.means.copy()
    for i, source in enumerate(sources):
        if i != source:
            deviation = np.sqrt(mixture.family.dense(params)[i, 0, 0])
            means[i, 0] += shift * deviation
    return replace(mixture, params=params._replace(means=means))


def moments(mixture: Mixture, members: list[int]) -> tuple[float, np.ndarray, np.ndarray]:
    """Return weight, mean and covariance of some components together."""
    w = mixture.weights[0, members]
    m = mixture.params.means[members]
    S = mixture.family.dense(mixture.params)[members]
    p = w / w.sum()
    centre = p @ m
    within = np.einsum("k,kij->ij", p, S)
    between = np.einsum("k,ki,kj->ij", p, m - centre, m - centre)
    return float(w.sum()), centre, within + between


@EVERY
def test_pairs_are_found(kind):
    mixture = with_copies(kind, [0, 1, 0, 3, 1, 0])
    assert identical_pairs(mixture) == ((0, 2), (1, 4), (0, 5))
    assert identical_pairs(mixture_near(X, kind, 6)) == ()


@EVERY
@pytest.mark.parametrize(("shift", "found"), [(1e-7, True), (1e-3, False)])
def test_near_is_not_identical(kind, shift, found):
    """1e-3 standard deviations apart EM parts two components by itself, if slowly."""
    assert bool(identical_pairs(with_copies(kind, [0, 1, 0], shift))) is found


def test_equal_means_with_other_shapes_are_no_pair():
    mixture = with_copies("full", [0, 1, 0])
    wider = mixture.params.covariances.copy()
    wider[2] *= 1.01
    params = mixture.params._replace(covariances=wider)
    assert identical_pairs(replace(mixture, params=params)) == ()


def test_components_without_weight_are_left_out():
    mixture = with_copies("full", [0, 1, 0])
    assert identical_pairs(replace(mixture, weights=np.array([[0.4, 0.6, 0.0]]))) == ()


@EVERY
def test_moments_of_every_group_stay(kind):
    sources = [0, 1, 0, 3, 1, 0]
    mixture = with_copies(kind, sources)
    parted = split_identical(mixture).mixture
    assert identical_pairs(parted) == ()
    parted.family.validate(parted.params)
    for members in ([0, 2, 5], [1, 4], [3]):
        weight, mean, covariance = moments(parted, members)
        old_weight, old_mean, old_covariance = moments(mixture, members)
        assert weight == pytest.approx(old_weight, rel=1e-14)
        np.testing.assert_allclose(mean, old_mean, atol=1e-13)
        if kind in ("full", "diag"):
            np.testing.assert_allclose(covariance, old_covariance, atol=1e-13)
        elif kind == "spherical":
            assert np.trace(covariance) == pytest.approx(np.trace(old_covariance), rel=1e-13)
    if kind == "tied":
        everyone = list(range(6))
        np.testing.assert_allclose(
            moments(parted, everyone)[2], moments(mixture, everyone)[2], atol=1e-12
        )


def test_sentences_name_the_components():
    parted = split_identical(with_copies("full", [0, 1, 0, 3, 0]))
    assert len(parted.sentences) == 1
    assert "components 0, 2 and 4 were identical" in parted.sentences[0]
    alone = mixture_near(X, "full", 3)
    same = split_identical(alone)
    assert same.sentences == ()
    assert same.mixture.fingerprint == alone.fingerprint


@EVERY
def test_the_trap_is_left(kind):
    """From all components equal EM is stuck at one Gaussian; parted, it finds the clusters."""
    rows, _ = clusters(1500, 2, 2, seed=1, apart=8.0)
    stuck = mixture_near(rows, kind, 2)
    params = stuck.family.reorder(stuck.params, np.array([0, 0]))
    stuck = replace(stuck, params=params)
    stuck = m_step(stuck, ask(EStep(stuck), rows))  # both are the Gaussian of all rows now
    for mixture, K in ((stuck, 1), (split_identical(stuck).mixture, 2)):
        fit = Squarem(mixture, 1e-8, 300)
        while fit.outcome is None:
            fit = fit.tell(ask(fit.ask(), rows))
        model = SklearnMixture(K, covariance_type=kind, n_init=3, random_state=0, tol=1e-6)
        # scikit-learn's reg_covar and its tolerance
        assert fit.lower_bounds[-1] == pytest.approx(model.fit(rows).score(rows), abs=1e-4)


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_units_change_nothing(kind):
    mixture = with_copies(kind, [0, 1, 0, 0])
    factor = np.array([8.0, 0.25, 1024.0])
    frame = mixture.frame
    scaled = replace(frame, scatter=frame.scatter * np.outer(factor, factor))
    divisor = factor**2 if kind == "diag" else np.outer(factor, factor)
    params = mixture.params._replace(
        means=mixture.params.means * factor, covariances=mixture.params.covariances * divisor
    )
    family = replace(
        mixture.family,
        floor=replace(mixture.family.floor, variance=mixture.family.floor.variance * factor**2),
    )
    other = split_identical(replace(mixture, frame=scaled, params=params, family=family)).mixture
    this = split_identical(mixture).mixture
    np.testing.assert_allclose(other.params.means / factor, this.params.means, atol=1e-12)
    np.testing.assert_allclose(
        other.params.covariances / divisor, this.params.covariances, atol=1e-12
    )
