"""What every fit and start must do. A new one joins by one line in `FITS`."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gmm_dask.fits.em import EM
from gmm_dask.fits.starts import FromCentres, FromRandomResp, KMeansParallel
from gmm_dask.folds.rows import RowShare
from gmm_dask.initial import Ground
from gmm_dask.mixture import Mixture
from gmm_dask.search import Grid, restarts
from gmm_dask.state import CODEC
from gmm_dask.tree import fingerprint
from tests.strategies import ask, clusters, frame_of, mixture_near

X, _ = clusters(500, 2, 3)
MIXTURE = mixture_near(X, "full", 3)
SHARE = RowShare(1, "held out", 0.2, inside=False)


def of_grid(**words):
    return restarts(Grid((3,), **words), Ground(frame_of(X), X))[0]


FITS = {
    "em": EM(MIXTURE, 1e-3, 50),
    "em tied": EM(mixture_near(X, "tied", 3), 1e-3, 50),
    "em share": EM(MIXTURE, 1e-3, 50, SHARE),
    "em ridge": EM(mixture_near(X, "full", 3, reg_covar=1e-6), 1e-3, 50),
    "centres": FromCentres(MIXTURE, np.eye(2)),
    "random": FromRandomResp(MIXTURE, 0, 1),
    "k-means||": KMeansParallel(MIXTURE, np.eye(2), MIXTURE.params.means[:1], 0, 0),
    "restart kmeans": of_grid(),
    "restart k-means||": of_grid(init_params="k-means||"),
    "restart squarem": of_grid(init_params="random_from_data", accelerate=True),
    "restart daarem": of_grid(init_params="random_from_data", accelerate="daarem"),
    "restart prior": of_grid(init_params="random_from_data", covariance_prior=True),
    "restart random": of_grid(init_params="random", rows=SHARE),
    "restart spherical": of_grid(covariance_type=("spherical",), init_params="random_from_data"),
}
fits = pytest.mark.parametrize("name", FITS)


def step(fit):
    return fit.tell(ask(fit.ask(), X))


def print_of(value) -> str:
    return fingerprint(value)


@fits
def test_the_same_answer_twice_gives_equal_fits(name):
    fit = FITS[name]
    before = print_of(fit)
    answer = ask(fit.ask(), X)
    assert print_of(fit.tell(answer)) == print_of(fit.tell(answer))
    assert print_of(fit) == before  # and the one that was told is as it was


@fits
def test_asking_twice_asks_the_same(name):
    fit = FITS[name]
    assert fit.ask().fingerprint == fit.ask().fingerprint
    assert step(fit) is not fit


@fits
def test_pickles(name):
    fit = FITS[name]
    copy = pickle.loads(pickle.dumps(fit))
    assert print_of(step(copy)) == print_of(step(fit))


@fits
def test_the_codec_keeps_every_bit(name):
    """After a checkpoint a fit goes on as if nothing had been."""
    fit = FITS[name]
    for _ in range(4):
        copy = CODEC.decode(*CODEC.encode(fit))
        assert type(copy) is type(fit)
        assert print_of(copy) == print_of(fit)
        following = step(copy)
        assert print_of(following) == print_of(step(fit))
        if isinstance(following, Mixture):
            return
        fit = following


@fits
def test_it_comes_to_an_end(name):
    fit = FITS[name]
    for _ in range(100):
        fit = step(fit)
        if isinstance(fit, Mixture) or getattr(fit, "outcome", None) is not None:
            break
    else:
        pytest.fail("no outcome after 100 passes")
    mixture = fit if isinstance(fit, Mixture) else getattr(fit, "template", None) or fit.mixture
    assert np.isfinite(mixture.means).all()
    assert mixture.weights.sum() == pytest.approx(1.0, rel=1e-12)


@fits
def test_only_training_rows_matter(name):
    fit = FITS[name]
    fold = fit.ask()
    if getattr(fold, "rows", None) is None:
        return
    from gmm_dask.blocks import Block

    spoilt = X.copy()
    spoilt[~fold.rows.mask(Block(X, 0))] = 1e9
    assert print_of(fit.tell(ask(fold, X))) == print_of(fit.tell(ask(fold, spoilt)))
