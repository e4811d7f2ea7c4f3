"""EM with the covariance prior against mclust 6.0.0 (R 4.2, Debian 12), from given labels.

The numbers are those of this program, run with the folder of the data as its argument:

    library(mclust)
    folder <- commandArgs(TRUE)[1]
    starts <- list(faithful = function(x) 1 + (x[, 1] > 3) + (x[, 2] > 80),
                   diabetes = function(x) 1 + (x[, 1] > 100) + (x[, 1] > 150))
    for (set in names(starts)) {
      columns <- if (set == "faithful") 1:2 else 2:4
      x <- as.matrix(read.csv(file.path(folder, paste0(set, ".csv")))[, columns])
      for (model in c("VVV", "EEE", "VII")) for (n in c(3, 5000)) {
        fit <- me(modelName = model, data = x, z = unmap(starts[[set]](x)), prior = priorControl(),
                  control = emControl(itmax = c(n, n), tol = c(1e-15, 1e-15)))
        print(fit$loglik); print(fit$parameters)
      }
    }

Matrices are written as their upper triangles, column by column, one after another.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from gmm_dask.families.floors import RelativeFloor
from gmm_dask.families.gaussian import Gaussian
from gmm_dask.families.prior import default_prior
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.squarem import Squarem
from gmm_dask.folds.e_step import EStep
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, m_step
from tests.strategies import ask, frame_of, mixture_near

KINDS = {"VVV": "full", "EEE": "tied", "VII": "spherical"}


class Fit(NamedTuple):
    log_likelihood: float
    weights: tuple[float, ...]
    means: tuple[float, ...]
    sigma: tuple[float, ...]


# fmt: off
MCLUST = {
    ("faithful", "VVV", 3): Fit(-1128.9428124668, (0.3556365148, 0.3313674984, 0.3129959868),
        (2.035965669, 54.47343185, 4.267390708, 75.87869156, 4.312001553, 84.28387193),
        (0.06781337892, 0.4435221322, 31.69926391, 0.1741979514, 1.06808064, 18.27427413,
        0.1460629407, 0.5840977592, 16.83645562)),
    ("faithful", "VVV", 5000): Fit(-1125.0811753952, (0.3530434305, 0.02235820338, 0.6245983661),
        (2.029626643, 54.41163186, 3.313153452, 66.52170163, 4.318279104, 80.37245248),
        (0.06318351642, 0.3967991263, 31.42417996, 0.05646927725, 0.4678042826, 7.450802589,
        0.1428192683, 0.5838365424, 30.50792611)),
    ("faithful", "EEE", 3): Fit(-1143.1864794821, (0.3580396368, 0.3371502976, 0.3048100656),
        (2.042667616, 54.55165423, 4.260318983, 76.6271575, 4.330739661, 83.75856214),
        (0.1291415782, 0.6633560373, 26.2391173)),
    ("faithful", "EEE", 5000): Fit(-1126.4271792114, (0.3563970139, 0.4713151045, 0.1722878816),
        (2.037807763, 54.49336657, 4.469323214, 80.85029433, 3.802128204, 77.60157775),
        (0.0762185176, 0.4800870663, 32.8128985)),
    ("faithful", "VII", 3): Fit(-1637.7271689376, (0.3684999982, 0.319045604, 0.3124543977),
        (2.099355693, 54.78620518, 4.224068213, 75.93535016, 4.37341113, 84.7528488), (16.98816783,
        5.132219062, 6.815844822)),
    ("faithful", "VII", 5000): Fit(-1637.503357934, (0.3711524888, 0.3079426711, 0.3209048401),
        (2.107496444, 54.88163165, 4.229802276, 75.87241893, 4.37212128, 84.64549714), (17.48890562,
        4.731198204, 6.869308604)),
    ("diabetes", "VVV", 3): Fit(-2311.4629569177, (0.6102029238, 0.2046172191, 0.1851798571),
        (91.66620961, 368.9830927, 173.7497348, 109.0238258, 520.8507276, 321.0518673, 236.1929374,
        1128.790637, 77.76722942), (76.02071598, 232.6678305, 3376.429535, 20.91137222, 897.8212073,
        3312.240696, 231.413157, 1551.006682, 14970.09733, -872.9418896, -4887.868963, 21892.48026,
        3828.405501, 13714.45405, 54695.30078, -1678.933755, -6932.696143, 1715.70113)),
    ("diabetes", "VVV", 5000): Fit(-2309.0960573432, (0.5392609695, 0.2663557901, 0.1943832404),
        (91.26726944, 358.9322894, 161.538968, 104.1776069, 494.5116792, 312.9921149, 231.5879178,
        1108.575812, 80.4521578), (76.85029425, 198.5520662, 2555.10802, -9.822982828, 122.5246547,
        2068.485629, 196.1783025, 1260.25137, 12300.59905, -429.8422973, -2452.435606, 18356.40365,
        4016.489794, 14669.39699, 59462.65782, -1807.33295, -7510.453731, 1788.245722)),
    ("diabetes", "EEE", 3): Fit(-2460.1950073661, (0.6419792601, 0.2202327078, 0.1377880321),
        (93.6017867, 376.1947638, 174.1372591, 114.3769245, 583.1416672, 297.2230908, 266.3423485,
        1239.660162, 64.36006956), (618.4784271, 2560.945732, 15363.31607, -610.9749881,
        -3720.184503, 8974.827863)),
    ("diabetes", "EEE", 5000): Fit(-2446.6083827334, (0.7215723378, 0.1937202201, 0.08470744208),
        (93.97633013, 387.1270214, 180.2273834, 146.2351714, 744.0879004, 267.4596729, 304.9840164,
        1384.053188, 50.31390783), (511.0422774, 2277.270553, 15167.95907, -1336.354968,
        -7024.042634, 10807.75342)),
    ("diabetes", "VII", 3): Fit(-2571.9444679969, (0.5884597904, 0.2469406524, 0.1645995573),
        (91.76004967, 363.4909508, 167.2290343, 109.1720133, 537.3801993, 307.5755705, 249.2369493,
        1179.552325, 71.43155547), (1790.879041, 14365.8831, 18707.27596)),
    ("diabetes", "VII", 5000): Fit(-2568.7422356491, (0.5290859392, 0.2932888986, 0.1776251623),
        (91.1163291, 356.277578, 160.0343006, 104.7502479, 501.4602017, 300.317869, 242.3686396,
        1155.157882, 75.25406085), (1417.830839, 11534.43323, 19994.51485)),
}
# fmt: on


def data_of(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and the labels (n, 3), one-hot, from which mclust began."""
    columns = (0, 1) if name == "faithful" else (1, 2, 3)
    file = folder / "classic" / f"{name}.csv"
    X = np.loadtxt(file, delimiter=",", skiprows=1, usecols=columns)
    cuts = [X[:, 0] > 3, X[:, 1] > 80] if name == "faithful" else [X[:, 0] > 100, X[:, 0] > 150]
    return X, np.eye(3)[np.sum(cuts, axis=0)]


def from_labels(X: np.ndarray, resp: np.ndarray, kind: str) -> Mixture:
    """Return the first M-step, with mclust's prior: its covariance of the data has divisor n-1."""
    frame = frame_of(X, kind)
    prior = default_prior(frame, resp.shape[1])
    prior = replace(prior, scale=prior.scale * len(X) / (len(X) - 1))
    family = Gaussian(kind, RelativeFloor(frame.variance, 1e-12), prior)
    mixture = replace(mixture_near(X, kind, resp.shape[1]), family=family, frame=frame)
    moments = table.moments(mixture.prepare().family, X, resp)
    params = family.maximize(mixture.params, resp.sum(axis=0), moments)
    return replace(mixture, params=params, weights=resp.mean(axis=0)[None])


def sigma_of(mixture: Mixture) -> np.ndarray:
    """Return the covariances as mclust's are written above."""
    S = mixture.covariances
    if S.ndim == 1:
        return S
    stack = S if S.ndim == 3 else S[None]
    rows, columns = np.tril_indices(stack.shape[1])  # of a symmetric matrix: upper, by columns
    return stack[:, rows, columns].ravel()


@pytest.mark.parametrize(("name", "model", "passes"), [key for key in MCLUST if key[2] < 10])
def test_passes_equal_mclust(shared_data, name, model, passes):
    X, resp = data_of(shared_data, name)
    mixture = from_labels(X, resp, KINDS[model])
    for _ in range(passes - 1):
        mixture = m_step(mixture, ask(EStep(mixture), X))
    compare(mixture, MCLUST[name, model, passes], 1e-9)  # constants of ten digits


@pytest.mark.parametrize(("name", "model", "passes"), [key for key in MCLUST if key[2] > 10])
def test_optimum_equals_mclust(shared_data, name, model, passes):
    """The log-likelihood too, which is all that criteria use: the prior is no part of it."""
    X, resp = data_of(shared_data, name)
    fit = Squarem(from_labels(X, resp, KINDS[model]), 1e-13, 1000)
    while fit.outcome is None:
        fit = fit.tell(ask(fit.ask(), X))
    assert fit.outcome is Outcome.CONVERGED
    # the likelihood is flat at its top: 1e-13 per row of it is 1e-6 or so of the parameters
    compare(fit.mixture, MCLUST[name, model, passes], 1e-5)
    sums = ask(EStep(fit.mixture), X)
    wanted = MCLUST[name, model, passes].log_likelihood
    assert float(sums.log_likelihood) == pytest.approx(wanted, abs=1e-5)
    log_prior = fit.mixture.family.log_prior(fit.mixture.params)
    assert fit.lower_bounds[-1] * len(X) == pytest.approx(wanted + log_prior, abs=1e-5)


def compare(mixture: Mixture, wanted: Fit, rtol: float) -> None:
    """Assert equal parameters, in the order of the labels."""
    np.testing.assert_allclose(mixture.weights[0], wanted.weights, rtol=rtol)
    np.testing.assert_allclose(mixture.means.ravel(), wanted.means, rtol=rtol)
    size = np.abs(wanted.sigma).max()
    np.testing.assert_allclose(sigma_of(mixture), wanted.sigma, rtol=rtol, atol=rtol * size)
