"""`model.covariance_prior` from the file to the fit."""

from __future__ import annotations

import numpy as np

from gmm_dask import fit_many
from tests.pipeline.run.helpers import Workplace


def test_a_prior_keeps_a_component_on_few_rows_round(place: Workplace) -> None:
    """Ten equal rows collapse without it, and do not with it."""
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.normal(size=(300, 2)), np.full((10, 2), 6.0)])
    words = {"init_params": "kmeans", "random_state": 0, "race": False}
    plain = fit_many(rows, 2, **words).result.candidates[0]
    held = fit_many(rows, 2, covariance_prior=True, **words).result.candidates[0]
    assert plain.degenerate
    assert not held.degenerate
    smallest = np.linalg.eigvalsh(held.mixture.covariances)[:, 0].min()
    # the prior alone: scale / (nu + D + n + 2) of total variance / K^(2 / D), n = 10 rows
    assert smallest > 0.5 * rows.var() / 2 / (4 + 2 + 10 + 2) / 4


def test_the_key_is_known(place: Workplace) -> None:
    answer = place.call("run", place.config(model={"n_components": 2, "covariance_prior": True}))
    assert answer.code == 0, answer.err
    assert place.manifest["config"]["model"]["covariance_prior"] is True
    wrong = place.call("run", place.config(model={"n_components": 2, "covariance_prior": 3}))
    assert wrong.code == 2
