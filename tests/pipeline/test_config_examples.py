"""The configurations that the documentation shows."""

from __future__ import annotations

import pytest

from gmm_dask.errors import ConfigError
from pipeline.config import loads

ATLAS = """
source:
  path: atlas.h5ad
  key: obsm/X_scVI
model:
  n_components: 10..60 by 5
"""

DIGITS = """
source:
  path: builtin:digits           # scikit-learn's 1797 x 64, no download
transform: [pca: 10]             # fitted in one pass, stored in the model, undone in the report
model:
  n_components: 2..20            # all of them in the same passes
"""

FLOW = """
source:
  path: shared/data/flow/gvhd_positive.csv
  columns: [CD4, CD8b, CD3, CD8]
model:
  n_components: 1..9
  covariance_type: [spherical, diag, tied, full]
  n_init: 10
output: {columns: [label, probability, entropy], format: csv}
"""

LATENT = """
run:
  name: atlas-states
source:
  path: atlas.h5ad
  key: obsm/X_latent_qzm
  noise:
    variance: obsm/X_latent_qzv
  filter: "obs.doublet_score < 0.3"
model:
  n_components: 10..60 by 5
  covariance_type: [diag, full]
cluster:
  type: slurm
  n_workers: 40
  threads_per_worker: 4
  memory_limit: 16GiB
  options: {queue: normal, account: p1234, walltime: "04:00:00"}
output:
  columns: [label, probability, entropy, log_density]
  write_back: {obs: gmm}
report:
  colour_by: [obs/cell_type, obs/batch]
"""

GAIA = """
run:
  name: gaia-cone-45-0
source:
  path: shared/data/survey/gaia_dr3_cone_ra45_dec0.parquet
  columns: [pmra, pmdec, parallax, radial_velocity, bp_rp]
  units: {pmra: mas/yr, pmdec: mas/yr, parallax: mas, radial_velocity: km/s, bp_rp: mag}
  filter: "ruwe < 1.4 or ruwe is null"
  id: source_id
  noise:
    std: "{column}_error"
    correlation: "{a}_{b}_corr"
    exact: [bp_rp]
model:
  n_components: 1..8
  missing: marginalize
  background: uniform
select:
  criterion: held_out
  rule: one_standard_error
output:
  columns: [label, probability, log_density, deconvolved_mean]
report:
  features: [[pmra, pmdec], [parallax, bp_rp]]
"""

DROPLETS = """
run:
  name: ddpcr-five-wells
source:
  path: shared/data/ddpcr/five_wells_droplets.parquet
  columns: [fam_amplitude, hex_amplitude]
  group: well
model:
  components: ddpcr
  copies: {fam_amplitude: 0..1, hex_amplitude: 0..1}
  weights: poisson
  weight_tail: lumped
  linkage: free
  weights_by: group
diagnose:
  concentration:
    partition_volume: 0.91 nL
    dilution: 1
output: {columns: [label, probability, ambiguous], format: csv}
"""


def test_the_smallest_useful_configuration():
    config = loads(ATLAS, "atlas.yaml")
    assert config.model.n_components == tuple(range(10, 61, 5))
    assert config.source.key == "obsm/X_scVI"


def test_the_quickstart():
    config = loads(DIGITS, "quickstart.yaml")
    assert config.source.path == ("builtin:digits",)
    assert config.transform[0].n_components == 10
    assert config.model.n_components == tuple(range(2, 21))
    assert config.run.dir == "runs/quickstart"


def test_flow_cytometry():
    config = loads(FLOW, "flow.yaml")
    assert config.model.covariance_type == ("spherical", "diag", "tied", "full")
    assert config.output is not False
    assert config.output.columns == ("label", "probability", "entropy")
    assert config.output.format == "csv"


def test_gaia():
    config = loads(GAIA, "f.yaml")
    assert config.model.background == "uniform"


def test_droplets():
    config = loads(DROPLETS, "f.yaml")
    assert config.model.copies == {"fam_amplitude": (0, 1), "hex_amplitude": (0, 1)}
    assert config.diagnose is not False
    assert config.diagnose.concentration is not None
    assert config.diagnose.concentration.partition_volume == 0.91


@pytest.mark.parametrize(
    ("text", "later"),
    [
        (LATENT, ["cluster.type"]),
    ],
    ids=["latent"],
)
def test_examples_of_later_versions_are_refused_for_that_alone(text, later):
    with pytest.raises(ConfigError) as caught:
        loads(text, "f.yaml")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == later
    assert all("this version has no" in line for line in lines)
