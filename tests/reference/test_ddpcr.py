"""Five wells of a duplex assay against QuantaSoft, which calls droplets by thresholds.

Rain (some 3 to 8 % of the positives) lies between the clusters; thresholds give droplets on the way
to one dye and not to the other. A mixture of four clusters of one shape without thresholds finds
2 to 7 % more copies than these where most rain is, up to 20 % (1.6 standard errors) in the well
of 90 positives.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gmm_dask import droplet_concentrations, fit_droplets

DYES = {"fam_amplitude": "Ch1Unknown", "hex_amplitude": "Ch2Unknown"}


@pytest.fixture(scope="module")
def wells(shared_data):
    rows = pd.read_parquet(shared_data / "ddpcr" / "five_wells_droplets.parquet")
    X, labels = rows[list(DYES)], rows["well"]
    model = fit_droplets(X, labels, covariance_type="tied")
    found = droplet_concentrations(model, X, labels, partition_volume=0.91)
    said = pd.read_csv(shared_data / "ddpcr" / "five_wells_quantasoft.csv")
    table = pd.DataFrame(found.rows()).assign(TypeAssay=lambda t: t.target.map(DYES))
    return table.merge(said, left_on=["well", "TypeAssay"], right_on=["Well", "TypeAssay"])


def test_all_droplets_are_accepted(wells):
    np.testing.assert_array_equal(wells.accepted, wells.AcceptedDroplets)


def test_concentrations_are_near_those_of_quantasoft(wells):
    """Limits of both overlap in all ten; seven figures lie inside, three less than 1 % above."""
    assert len(wells) == 10
    assert (wells.low <= wells.PoissonConfMax).all()
    assert (wells.high >= wells.PoissonConfMin).all()
    inside = wells.concentration.between(wells.PoissonConfMin, wells.PoissonConfMax)
    assert inside.sum() >= 7
    assert (wells.concentration <= 1.01 * wells.PoissonConfMax).all()


def test_double_positives_are_within_their_poisson_limits(wells):
    counted = wells["Ch1+Ch2+"]
    assert (np.abs(wells.double_positives - counted) < 1.96 * np.sqrt(counted)).all()


def test_every_well_rejects_independence(wells):
    assert (wells.likelihood_ratio > 777).all()
    assert (wells.p_independent < 1e-100).all()
    assert (wells.double_positives > 4 * wells.expected_if_independent).all()
