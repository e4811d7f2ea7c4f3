"""Frozen parameters: held bits, and optima that direct maximisation under constraints finds."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from gmm_dask import (
    ArraySource,
    CheckpointError,
    GaussianMixture,
    Grid,
    LocalEngine,
    fit_many,
    run_grid,
)
from gmm_dask.families.held import Held
from gmm_dask.fits.em import EM
from gmm_dask.fits.given import Given
from gmm_dask.fits.moves import propose
from gmm_dask.fits.restart import KINDS as ACCELERATED
from gmm_dask.folds.overlap import Overlap
from tests.fits.held_models import begin, covariances_of, held_mixture
from tests.strategies import KINDS, ask, clusters, mixture_near

EVERY = pytest.mark.parametrize("kind", KINDS)
PARTS = ("weight", "mean", "covariance")
NAN = np.nan


def quiet(model: GaussianMixture, X: np.ndarray, **words) -> GaussianMixture:
    """Fit, whether or not it converges in the passes that it has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **words)


@EVERY
@pytest.mark.parametrize("parts", [c for n in (1, 2, 3) for c in itertools.combinations(PARTS, n)])
def test_held_parameters_keep_their_bits_and_are_not_counted(kind, parts):
    X, _ = clusters(400, 2, 3, seed=1, apart=5.0)
    words, given = begin(X + 1e3, kind, 3, seed=4)
    if kind == "tied" and "covariance" in parts:
        frozen = {0: parts, 1: ["covariance"], 2: "covariance"}
    else:
        frozen = {0: parts}
    model = GaussianMixture(3, covariance_type=kind, frozen=frozen, tol=1e-7, max_iter=300, **words)
    quiet(model, X + 1e3)
    if "weight" in parts:
        assert model.weights_[0] == given["weights"][0]
        assert model.weights_.sum() == pytest.approx(1.0, rel=1e-15)
    if "mean" in parts:
        np.testing.assert_array_equal(model.means_[0], given["means"][0])
    if "covariance" in parts:
        found, was = model.covariances_, given["covariances"]
        np.testing.assert_array_equal(*((found, was) if kind == "tied" else (found[0], was[0])))
    size = {"full": 3, "tied": 3, "diag": 2, "spherical": 1}[kind]
    free = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X).n_parameters
    lost = ("weight" in parts) + 2 * ("mean" in parts) + size * ("covariance" in parts)
    assert model.n_parameters == free - lost
    assert (np.diff(model.lower_bounds_) > -1e-12).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.integers(-30, 30),
)
def test_a_held_mean_is_told_with_its_bits(mean, offset, power):
    """What computes is its image in the frame: off by half a unit in the last place there."""
    X = (np.random.default_rng(0).normal(size=(20, 1)) + offset) * 2.0**power
    held = np.array([[mean * 2.0**power]])
    grid = Grid((1,), held=Held(means=(0,)), max_iter=1)
    (candidate,) = run_grid(ArraySource(X), grid, LocalEngine(), given={"means": held}).candidates
    mixture = candidate.mixture
    assert mixture.means[0, 0] == held[0, 0]
    shift = float(mixture.frame.shift[0])
    image = float(mixture.frame.backward(mixture.params.means)[0, 0])
    room = 0.5 * np.spacing(abs(held[0, 0] - shift)) + 0.5 * np.spacing(abs(held[0, 0]))
    assert abs(image - held[0, 0]) <= room


@EVERY
def test_the_covariance_about_a_held_mean(kind):
    """One component: the moments about the mean that is held, in closed form."""
    rng = np.random.default_rng(2)
    X, m = rng.normal(2.0, 1.0, (500, 2)), np.array([[1.0, 3.0]])
    model = GaussianMixture(
        1, covariance_type=kind, means_init=m, frozen={0: ["mean"]}, random_state=0
    ).fit(X)
    S = (X - m).T @ (X - m) / len(X)
    expected = {
        "full": S[None],
        "tied": S,
        "diag": np.diag(S)[None],
        "spherical": [np.trace(S) / 2],
    }
    np.testing.assert_allclose(model.covariances_, expected[kind], rtol=1e-12)


def log_likelihood(X, weights, means, matrices) -> float:
    parts = [
        np.log(w) + multivariate_normal(m, S).logpdf(X)
        for w, m, S in zip(weights, means, matrices, strict=True)
    ]
    return float(logsumexp(parts, axis=0).sum())


def test_the_optimum_is_that_of_direct_maximisation():
    """A stream in a known field: field mean and covariance held; a zero-mean state; a weight."""
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(0, 3, (300, 1)), rng.normal(2, 0.5, (200, 1))])
    X = np.concatenate([X, rng.normal(-5, 1, (100, 1))])

    def unpacked(point):
        a, m1, m2, s0, s1, s2 = point
        p = 1 / (1 + np.exp(-a))
        weights = np.array([0.5, 0.5 * p, 0.5 * (1 - p)])
        return weights, np.array([[0.0], [m1], [m2]]), np.exp([s0, s1, s2])[:, None, None]

    best = minimize(
        lambda point: -log_likelihood(X, *unpacked(point)),
        [0.0, 2.0, -5.0, 2.0, -1.0, 0.0],
        method="BFGS",
        options={"gtol": 1e-6},
    )
    model = GaussianMixture(
        3,
        means_init=[[0.0], [2.0], [-5.0]],
        weights_init=[0.5, NAN, NAN],
        frozen={0: ["mean", "weight"]},
        random_state=0,
        tol=1e-12,
        max_iter=5000,
    ).fit(X)
    weights, means, matrices = unpacked(best.x)
    assert len(X) * model.lower_bound_ == pytest.approx(-best.fun, rel=1e-9)
    # the likelihood is flat to 1e-9 within the root of that
    np.testing.assert_allclose(model.weights_, weights, atol=1e-4)
    np.testing.assert_allclose(model.means_, means, atol=1e-3)
    np.testing.assert_allclose(model.covariances_, matrices, rtol=1e-3)
    assert model.means_[0, 0] == 0.0
    assert model.n_parameters == 6
    assert model.bic(X) == pytest.approx(2 * best.fun + 6 * np.log(len(X)), rel=1e-9)


@EVERY
@pytest.mark.parametrize("accelerate", ["squarem", "daarem"])
def test_leaps_move_nothing_that_is_held(kind, accelerate):
    X, _ = clusters(1500, 2, 3, seed=5, apart=2.5)
    mixture = held_mixture(X, kind, 3)
    fits = [ACCELERATED[kind_of](mixture, 1e-9, 4000) for kind_of in ("", accelerate)]
    ended = []
    for fit in fits:
        while fit.outcome is None:
            fit = fit.tell(ask(fit.ask(), X))
            now = fit.mixture
            np.testing.assert_array_equal(now.params.means[1], mixture.params.means[1])
            held = (covariances_of(m, 1) for m in (now, mixture))
            np.testing.assert_array_equal(*held)
            assert now.weights[0, 2] == mixture.weights[0, 2]
            assert now.weights.sum() == pytest.approx(1.0, rel=1e-14)
        ended.append(fit)
    plain, fast = ended
    assert fast.n_iter <= plain.n_iter + 4
    assert fast.lower_bounds[-1] == pytest.approx(plain.lower_bounds[-1], abs=1e-8)


@EVERY
def test_moves_never_touch_what_is_held(kind):
    X, _ = clusters(600, 2, 5, seed=6, apart=4.0)
    mixture = held_mixture(X, kind, 6, tied_too=False)
    fit = EM(mixture, 1e-4, 50)
    while fit.outcome is None:
        fit = fit.tell(ask(fit.ask(), X))
    moves = propose(fit.mixture, ask(Overlap(fit.mixture), X), 20)
    assert len(moves) > 0
    for move in moves:
        assert move.kept == mixture.kept
        np.testing.assert_array_equal(move.params.means[1], mixture.params.means[1])
        assert move.weights[0, 2] == mixture.weights[0, 2]
        changed = np.abs(move.params.means - fit.mixture.params.means).max(axis=1) > 0
        assert not changed[list(mixture.kept)].any()


def test_starts_choose_the_rest():
    """The clusters that lie nearest to the held means make way, whatever the start."""
    rng = np.random.default_rng(7)
    centres = np.array([[0.0, 0], [20, 0], [0, 20], [20, 20]])
    X = np.concatenate([rng.normal(c, 1.0, (200, 2)) for c in centres])
    held = np.array([[20.0, 20], [NAN, NAN], [0.3, 0.1], [NAN, NAN]])
    for init in ("kmeans", "k-means||", "k-means++", "auto", "merging", "random_from_data"):
        model = GaussianMixture(
            4, means_init=held, frozen={0: ["mean"], 2: ["mean"]}, init_params=init, random_state=0
        ).fit(X)
        np.testing.assert_array_equal(model.means_[[0, 2]], held[[0, 2]])
        if init != "random_from_data":  # which may draw two rows of one cluster
            rest = sorted(model.means_[[1, 3]].round(-1).tolist())
            assert rest == [[0.0, 20.0], [20.0, 0.0]], init


def test_components_without_anything_held_are_put_in_order():
    rng = np.random.default_rng(8)
    X = np.concatenate([rng.normal(10 * k, 1, (n, 1)) for k, n in enumerate((50, 400, 100, 200))])
    model = GaussianMixture(
        4, means_init=[[NAN], [0.0], [NAN], [NAN]], frozen={1: ["mean"]}, random_state=0
    ).fit(X)
    np.testing.assert_allclose(model.means_.ravel(), [10, 0, 30, 20], atol=0.5)


def test_a_grid_holds_the_field_of_an_earlier_fit():
    rng = np.random.default_rng(9)
    field = rng.normal([0.0, 0], [3.0, 2], (1000, 2)) + 50
    X = np.concatenate([field, rng.normal([4, 3], 0.3, (150, 2)) + 50])
    earlier = GaussianMixture(1, random_state=0).fit(field)
    words = {"frozen": {0: ["mean", "covariance"]}, "random_state": 0, "n_init": 2}
    found = fit_many(X, [2, 3], start_from=earlier, **words)
    for model in found.models:
        np.testing.assert_array_equal(model.means_[0], earlier.means_[0])
        np.testing.assert_array_equal(model.covariances_[0], earlier.covariances_[0])
    assert [model.n_parameters for model in found.models] == [6, 12]
    assert found.best.n_components == 2
    np.testing.assert_allclose(found.best.means_[1], [54, 53], atol=0.1)


def test_integer_weights_are_repeated_rows():
    X, _ = clusters(200, 2, 3, seed=10, apart=4.0)
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    words, _ = begin(X, "full", 3, seed=1)
    model = GaussianMixture(3, frozen={0: ["weight"], 1: ["mean", "covariance"]}, **words)
    weighted = model.fit(X, sample_weight=weight.astype(float)).means_
    repeated = model.fit(np.repeat(X, weight, axis=0)).means_
    np.testing.assert_allclose(weighted, repeated, rtol=1e-8)


@pytest.mark.parametrize("more", ["holes", "noise"])
def test_holes_and_errors_go_with_held_parameters(more):
    X, _ = clusters(300, 2, 3, seed=11, apart=5.0)
    words, given = begin(X, "full", 3, seed=2)
    words |= {"frozen": {0: PARTS}, "max_iter": 30}
    extra = {}
    if more == "holes":
        X = X.copy()
        X[::5, 0] = NAN
        words["missing"] = "marginalize"
    else:
        extra["noise"] = np.full(X.shape, 0.1)
    model = quiet(GaussianMixture(3, **words), X, **extra)
    np.testing.assert_array_equal(model.means_[0], given["means"][0])
    np.testing.assert_array_equal(model.covariances_[0], given["covariances"][0])
    assert model.weights_[0] == given["weights"][0]
    assert (np.diff(model.lower_bounds_) > -1e-12).all()


def test_a_saved_model_and_a_checkpoint_hold_on(tmp_path):
    X, _ = clusters(300, 2, 3, seed=12, apart=3.0)
    words, given = begin(X, "full", 3, seed=3)
    words |= {"frozen": {0: PARTS}, "tol": 1e-8, "random_state": 0}
    whole = quiet(GaussianMixture(3, max_iter=20, **words), X)
    quiet(GaussianMixture(3, max_iter=7, **words), X, checkpoint=tmp_path / "c")
    resumed = quiet(
        GaussianMixture(3, max_iter=20, **words), X, checkpoint=tmp_path / "c", resume="require"
    )
    np.testing.assert_array_equal(resumed.means_, whole.means_)
    np.testing.assert_array_equal(resumed.means_[0], given["means"][0])
    with pytest.raises(CheckpointError, match="held"):
        free = {**words, "frozen": {0: ["mean"]}}
        GaussianMixture(3, max_iter=20, **free).fit(X, checkpoint=tmp_path / "c", resume="require")
    whole.save(tmp_path / "model.zarr")
    loaded = GaussianMixture.load(tmp_path / "model.zarr")
    assert loaded.n_parameters == whole.n_parameters
    np.testing.assert_array_equal(loaded.predict_proba(X), whole.predict_proba(X))


def test_given_parameters_are_put_in_place_once():
    """A fit that goes on from a sample to all rows does not begin again at given means."""
    X, _ = clusters(200, 2, 3, seed=13)
    mixture = mixture_near(X, "full", 3)
    means = np.full((3, 2), NAN)
    means[1] = 100.0
    begun = Given(means=means).into(mixture)
    np.testing.assert_array_equal(begun.params.means[1], [100.0, 100.0])
    others = {tuple(mean) for mean in begun.params.means[[0, 2]]}
    assert others < {tuple(mean) for mean in mixture.params.means}
