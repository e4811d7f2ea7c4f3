"""The Tully-Fisher relation by extreme deconvolution, against published numbers.

References
----------
Sakai et al. 2000, ApJ 529:698, Table 2 (the data); Bovy, Hogg and Roweis 2011, Ann. Appl. Stat.
5:1657, section 4 (slopes and zero points, as ``examples/TF.out`` of the authors' program has them).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from gmm_dask import DataWarning, GaussianMixture, fit_many

# slope and magnitude at log W20 = 2.5; printed to two decimals
PUBLISHED = {
    "B": (-8.04, -19.77),
    "V": (-8.86, -20.33),
    "R": (-8.79, -20.64),
    "I": (-9.26, -21.12),
    "H": (-11.03, -21.73),
}
# a width below the errors is approached as 1 / passes: the axis is at its place long before
WORDS = {"tol": 1e-8, "max_iter": 400, "reg_covar": 0.0}


def line(mean: np.ndarray, S: np.ndarray) -> tuple[float, float]:
    """Return the slope of the principal axis, and its magnitude at log W20 = 2.5."""
    _, vectors = np.linalg.eigh(S)
    slope = vectors[1, -1] / vectors[0, -1]
    return slope, mean[1] + slope * (2.5 - mean[0])


def log_likelihood(rows: np.ndarray, noise: np.ndarray, mean: np.ndarray, S: np.ndarray) -> float:
    """Return the mean log density of rows (n, 2) with variances (n, 2) under one Gaussian."""
    T = S + noise[:, :, None] * np.eye(2)
    y = rows - mean
    square = np.einsum("ni,nij,nj->n", y, np.linalg.inv(T), y)
    return float(np.mean(-0.5 * (square + np.log(np.linalg.det(T))) - np.log(2 * np.pi)))


def largest(rows: np.ndarray, noise: np.ndarray) -> tuple[float, float]:
    """Return slope and zero point at the maximum of the likelihood, by scipy."""

    def unpack(theta):
        lower = np.array([[np.exp(theta[2]), 0.0], [theta[3], np.exp(theta[4])]])
        return theta[:2], lower @ lower.T

    starts = [[*rows.mean(axis=0), -2.0 + s, -1.0, s] for s in (-3.0, -1.0, 0.0)]
    options = {"maxiter": 8000, "maxfev": 8000, "xatol": 1e-9, "fatol": 1e-13}
    found = [
        minimize(
            lambda theta: -log_likelihood(rows, noise, *unpack(theta)),
            start,
            method="Nelder-Mead",
            options=options,
        )
        for start in starts
    ]
    return line(*unpack(min(found, key=lambda one: one.fun).x))


@pytest.mark.data
@pytest.mark.parametrize("band", PUBLISHED)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_slopes_and_zero_points(shared_data, band):
    table = pd.read_csv(shared_data / "survey" / "tully_fisher.csv")
    table = table[table[band].notna()]
    rows = table[["logW20", band]].to_numpy()
    noise = table[["logW20_err", f"{band}_err"]].to_numpy() ** 2
    model = fit_many(rows, 1, noise=noise, **WORDS).best
    slope, zero = line(model.means_[0], model.covariances_[0])
    # a twentieth of the standard error of the slopes (0.5 to 0.8), a tenth of the zeros' (0.1)
    assert slope == pytest.approx(PUBLISHED[band][0], abs=0.03)
    assert zero == pytest.approx(PUBLISHED[band][1], abs=0.01)
    # the rest of the way is for the widths of lines without scatter: 1e-3 of the slope
    assert (slope, zero) == pytest.approx(largest(rows, noise), abs=1e-3)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_gaia_rows_with_holes_and_correlated_errors_are_all_used(shared_data):
    """Log densities of a fit of all rows, against SciPy for some of each pattern."""
    table = pd.read_parquet(shared_data / "survey" / "gaia_dr3_cone_ra45_dec0.parquet")
    columns = ["pmra", "pmdec", "parallax", "radial_velocity"]
    rows = table[columns].to_numpy(dtype=float)
    std = table[[f"{name}_error" for name in columns]].to_numpy(dtype=float)
    correlation = np.tile(np.eye(4), (len(rows), 1, 1))
    pairs = {"pmra_pmdec_corr": (0, 1), "parallax_pmra_corr": (0, 2), "parallax_pmdec_corr": (1, 2)}
    for name, (i, j) in pairs.items():
        correlation[:, i, j] = correlation[:, j, i] = table[name]
    noise = correlation * std[:, :, None] * std[:, None, :]
    model = GaussianMixture(2, random_state=0, missing="marginalize", max_iter=300, tol=1e-4)
    model.fit(rows, noise=noise)
    with pytest.warns(DataWarning, match="hold no value"):
        logs = model.score_samples(rows, noise=noise)
    some = (~np.isnan(rows)).any(axis=1)
    assert model.candidate_.n_rows == some.sum()
    assert model.lower_bounds_ == sorted(model.lower_bounds_)  # never falls
    for i in [*range(40), *np.flatnonzero(~np.isnan(rows).any(axis=1))[:20]]:
        o = ~np.isnan(rows[i])
        if not o.any():
            assert logs[i] == 0.0
            continue
        joint = [
            np.log(pi)
            + multivariate_normal(m[o], (S + np.nan_to_num(noise[i]))[np.ix_(o, o)]).logpdf(
                rows[i, o]
            )
            for pi, m, S in zip(model.weights_, model.means_, model.covariances_, strict=True)
        ]
        assert logs[i] == pytest.approx(np.logaddexp.reduce(joint), rel=1e-9)
