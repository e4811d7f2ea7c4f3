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

from gmm_dask import GaussianMixture

# slope and magnitude at log W20 = 2.5; printed to two decimals
PUBLISHED = {
    "B": (-8.04, -19.77),
    "V": (-8.86, -20.33),
    "R": (-8.79, -20.64),
    "I": (-9.26, -21.12),
    "H": (-11.03, -21.73),
}
WORDS = {"tol": 1e-10, "max_iter": 20000, "reg_covar": 0.0}


def line(model: GaussianMixture) -> tuple[float, float]:
    """Return the slope of the principal axis, and its magnitude at log W20 = 2.5."""
    _, vectors = np.linalg.eigh(model.covariances_[0])
    slope = vectors[1, -1] / vectors[0, -1]
    return slope, model.means_[0, 1] + slope * (2.5 - model.means_[0, 0])


@pytest.mark.data
@pytest.mark.parametrize("band", PUBLISHED)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::gmm_dask.errors.DegenerateWarning")
def test_slopes_and_zero_points(shared_data, band):
    """The intrinsic scatter tends to 0 (as 1 / passes): the axis is at its place long before."""
    table = pd.read_csv(shared_data / "survey" / "tully_fisher.csv")
    table = table[table[band].notna()]
    rows = table[["logW20", band]].to_numpy()
    noise = table[["logW20_err", f"{band}_err"]].to_numpy() ** 2
    model = GaussianMixture(1, **WORDS).fit(rows, noise=noise)
    slope, zero = line(model)
    # a twentieth of the standard error of the slopes (0.5 to 0.8), of the zeros (0.1) a tenth
    assert slope == pytest.approx(PUBLISHED[band][0], abs=0.03)
    assert zero == pytest.approx(PUBLISHED[band][1], abs=0.01)
    S = model.covariances_[0]
    assert S[0, 1] ** 2 / (S[0, 0] * S[1, 1]) > 0.99  # a line: all scatter is measurement


@pytest.mark.data
def test_gaia_rows_with_holes_and_correlated_errors_are_all_used(shared_data):
    """Log densities of a fit of all rows, against SciPy for some of each pattern."""
    from scipy.stats import multivariate_normal

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
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(Warning)
        model.fit(rows, noise=noise)
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
