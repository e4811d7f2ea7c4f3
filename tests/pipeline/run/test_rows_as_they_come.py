"""The program's own commands on rows with weights, holes and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from gmm_dask import GaussianMixture
from tests.pipeline.run.helpers import Workplace
from tests.strategies import clusters

TIGHT = {"n_components": 2, "n_init": 1, "tol": 1e-9, "init_params": "kmeans"}


def two_clusters(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rows, _ = clusters(n, D=2, K=2, seed=seed, apart=6.0)
    frame = pd.DataFrame(rows, columns=["x", "y"])
    return frame.assign(name=[f"r{i}" for i in range(n)])


def fitted(place: Workplace, frame: pd.DataFrame, name: str = "fit", **sections: Any) -> None:
    """Run on a table."""
    frame.to_csv(place.path / f"{name}.csv", index=False)
    source = {"path": f"{name}.csv", "columns": ["x", "y"], "id": "name"}
    source |= sections.pop("source", {})
    model = TIGHT | sections.pop("model", {})
    config = place.config(source=source, model=model, run={"name": name}, **sections)
    answer = place.call("run", config)
    assert answer.code == 0, answer.err


def chosen(place: Workplace, name: str = "fit") -> dict[str, Any]:
    return json.loads((place.path / "runs" / name / "run.json").read_text())["chosen"]


def model_of(place: Workplace, name: str = "fit") -> GaussianMixture:
    return GaussianMixture.load(place.path / "runs" / name / "model.zarr")


def assignments(place: Workplace, name: str = "fit") -> pd.DataFrame:
    return pq.read_table(place.path / "runs" / name / "assignments").to_pandas()


def test_a_weight_is_so_many_rows(place: Workplace) -> None:
    frame = two_clusters()
    weight = np.random.default_rng(1).integers(0, 4, len(frame))
    fitted(place, frame.assign(w=weight), "weighed", source={"sample_weight": "w"})
    fitted(place, frame.loc[frame.index.repeat(weight)], "repeated")
    a, b = chosen(place, "weighed"), chosen(place, "repeated")
    # both stop within tol = 1e-9 per row of one optimum
    assert a["log_likelihood_per_row"] == pytest.approx(b["log_likelihood_per_row"], abs=1e-7)
    assert a["bic"] == pytest.approx(b["bic"], abs=1e-3)
    first, second = (model_of(place, name).mixture_ for name in ("weighed", "repeated"))
    np.testing.assert_allclose(first.means, second.means, atol=1e-3)
    assert len(assignments(place, "weighed")) == len(frame)  # rows of weight 0 have labels too


def test_holes_from_sentinels_to_outputs(place: Workplace) -> None:
    frame = two_clusters()
    frame.loc[::5, "y"] = -999.0
    frame.loc[7, ["x", "y"]] = [np.nan, -999.0]
    words = ["label", "probability", "log_density", "imputed"]
    source = {"missing_values": [-999]}
    fitted(place, frame, source=source, model={"missing": "marginalize"}, output={"columns": words})
    mixture, found = model_of(place).mixture_, assignments(place)
    values = frame[["x", "y"]].replace(-999.0, np.nan).to_numpy()
    for i in (0, 1, 2, 5, 10, 399):
        o = ~np.isnan(values[i])
        parts = [
            multivariate_normal(m[o], S[np.ix_(o, o)]).logpdf(values[i][o])
            for m, S in zip(mixture.means, mixture.covariances, strict=True)
        ]
        wanted = logsumexp(parts + np.log(mixture.weights[0]))
        assert found.log_density[i] == pytest.approx(wanted, rel=1e-9)
    blank = found.iloc[7]
    assert blank["label"] == -1
    assert np.isnan([blank["probability"], blank["log_density"]]).all()
    assert (found.label.drop(7) >= 0).all()
    imputed = found[["imputed_x", "imputed_y"]].to_numpy()
    assert np.array_equal(imputed[~np.isnan(values)], values[~np.isnan(values)])
    assert np.isfinite(imputed).all()
    mean = found.log_density.drop(7).mean()  # the row without any value counts nowhere
    assert chosen(place)["log_likelihood_per_row"] == pytest.approx(mean, rel=1e-12)
    warned = " ".join(place.manifest["warnings"])
    assert "20.2% of the rows lack a value" in warned
    assert "assumed to be missing at random" in warned


def test_equal_errors_are_taken_off_the_width(place: Workplace) -> None:
    """One Gaussian whose rows err alike: S + C is the covariance of the rows, in closed form."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(500, 2)) @ np.array([[3.0, 0.0], [1.0, 2.0]])
    frame = pd.DataFrame(values, columns=["x", "y"]).assign(x_e=1.0, y_e=0.5, y_x_r=0.25)
    frame["name"] = [f"r{i}" for i in range(500)]
    noise = {"std": "{column}_e", "correlation": "{a}_{b}_r"}
    words = ["log_density", "deconvolved_mean"]
    model = {"n_components": 1}
    output = {"columns": words}
    fitted(place, frame, source={"noise": noise}, model=model, output=output, report={})
    C = np.array([[1.0, 0.125], [0.125, 0.25]])
    total = np.cov(values.T, ddof=0)
    mixture, found = model_of(place).mixture_, assignments(place)
    # EM stops within 1e-9 per row: widths are known to its root
    np.testing.assert_allclose(mixture.covariances[0], total - C, atol=2e-3)
    S = mixture.covariances[0]
    wanted = multivariate_normal(mixture.means[0], S + C).logpdf(values)
    np.testing.assert_allclose(found.log_density, wanted, rtol=1e-9)
    shrunk = mixture.means[0] + (values - mixture.means[0]) @ np.linalg.solve(S + C, S)
    np.testing.assert_allclose(
        found[["deconvolved_x", "deconvolved_y"]], shrunk, rtol=1e-8, atol=1e-8
    )
    facts = {f["word"]: f for f in place.results()["source"]["rows"]}
    assert facts["Error of x"]["value"] == "1"
    width = np.sqrt(np.diagonal(total - C))[0]
    assert f"without the errors {width:.3f}"[:-1] in facts["Error of x"]["note"]
    widths = place.results()["widths"]
    # of a fit that ignores the errors: the covariance of the rows as they are
    np.testing.assert_allclose(widths["std"][0], np.sqrt(np.diagonal(total)), rtol=1e-9)
    np.testing.assert_allclose(widths["error"], [1.0, 0.5], rtol=1e-12)
    assert widths["converged"]
    page = (place.path / "runs" / "fit" / "report.html").read_text()
    assert "Widths with the errors taken off, and with them" in page
    shown = " ".join(place.manifest["widths"])
    own, both = np.sqrt(np.diagonal(S)), np.sqrt(np.diagonal(total))
    assert f"{own[0]:.2f} ({both[0]:.2f})" in shown


@pytest.mark.parametrize("cache", ["auto", "spool"])
def test_units_change_nothing_of_rows_as_they_come(place: Workplace, cache: str) -> None:
    """Standardized, with holes, weights, errors and held-out rows: the same fit in source units."""
    rng = np.random.default_rng(3)
    frame = two_clusters(600).assign(w=rng.gamma(2.0, size=600))
    frame["x_e"], frame["y_e"] = rng.uniform(0.1, 1.0, (2, 600))
    frame.loc[rng.random(600) < 0.2, "y"] = np.nan
    frame.loc[rng.random(600) < 0.02, ["x", "y"]] = np.nan
    both = {
        "source": {"noise": {"std": "{column}_e"}, "sample_weight": "w"},
        "model": {"missing": "marginalize"},
        "select": {"criterion": "held_out", "held_out": 0.2},
    }
    fitted(place, frame, "plain", **both)
    cluster = {"type": "address", "address": place.scheduler, "cache": cache}
    fitted(place, frame, "scaled", transform=["standardize"], cluster=cluster, **both)
    a, b = chosen(place, "plain"), chosen(place, "scaled")
    for name in ("log_likelihood_per_row", "held_out"):
        assert a[name] == pytest.approx(b[name], abs=1e-6), name
    one, two = (assignments(place, name).log_density for name in ("plain", "scaled"))
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_errors_of_nothing_change_nothing(place: Workplace) -> None:
    frame = two_clusters().assign(x_e=0.0, y_e=0.0)
    fitted(place, frame, "exact", source={"noise": {"variance": "{column}_e"}})
    fitted(place, frame, "plain")
    a, b = chosen(place, "exact"), chosen(place, "plain")
    assert a["log_likelihood_per_row"] == pytest.approx(b["log_likelihood_per_row"], rel=1e-9)


def test_curved_steps_take_errors_only_if_told(place: Workplace) -> None:
    frame = np.exp(two_clusters()[["x", "y"]] / 4).assign(x_e=0.1, y_e=0.1, name="r")
    source = {"noise": {"std": "{column}_e"}, "id": None}
    fitted(place, frame, source=source, transform=[{"log": {"noise": "delta"}}])
    answer = place.call("run", "fit.yaml", "--set", "transform=[log]", "--fresh")
    assert answer.code == 2
    assert "linearises it at each row" in answer.err


def test_new_rows_bring_their_own_errors(place: Workplace) -> None:
    frame = two_clusters().assign(x_e=0.5, y_e=0.5)
    source = {"noise": {"std": "{column}_e"}}
    fitted(place, frame, source=source, model={"missing": "marginalize", "tol": 1e-4})
    new = frame.iloc[:20].assign(x_e=3.0)
    new.loc[4, "y"] = np.nan
    new.to_csv(place.path / "new.csv", index=False)
    answer = place.call("predict", "runs/fit", "new.csv", "--out", "labels")
    assert answer.code == 0, answer.err
    found = pq.read_table(place.path / "labels").to_pandas()
    mixture = model_of(place).mixture_
    C, values = np.diag([9.0, 0.25]), new[["x", "y"]].to_numpy()
    for i, o in ((0, [0, 1]), (4, [0])):
        parts = [
            multivariate_normal(m[o], (S + C)[np.ix_(o, o)]).logpdf(values[i][o])
            for m, S in zip(mixture.means, mixture.covariances, strict=True)
        ]
        wanted = logsumexp(parts + np.log(mixture.weights[0]))
        assert found.log_density[i] == pytest.approx(wanted, rel=1e-9)
    new.drop(columns="x_e").to_csv(place.path / "new.csv", index=False)
    answer = place.call("predict", "runs/fit", "new.csv", "--out", "labels")
    assert answer.code == 3
    assert "new.csv has no x_e" in answer.err


def test_the_plan_tells_errors_holes_and_drops(place: Workplace) -> None:
    n = 100
    frame = two_clusters(n).assign(x_e=0.5, y_e=0.5, x_y_r=0.1, w=1.0)
    frame["quality"] = pd.array([None] * 8 + [1] * (n - 8), dtype="Int64")
    frame.to_parquet(place.path / "rows.parquet", index=False)
    noise = {"std": "{column}_e", "correlation": "{b}_{a}_r"}
    source = {
        "path": "rows.parquet",
        "columns": ["x", "y"],
        "filter": "quality < 2",
        "noise": noise,
        "sample_weight": "w",
    }
    config = place.config(source=source, model=TIGHT | {"missing": "marginalize"})
    said = place.call("plan", config).out
    assert "std: x_e y_e" in said
    assert "correlation: x-y" in said
    assert "8 rows have no quality (footers): dropped (add 'or quality is null'" in said
    assert "assumes missing at random" in said
    said = place.call("plan", config, "--set", "source.filter=quality < 2 or quality is null").out
    assert "8 rows have no quality (footers): kept" in said
    said = place.call("plan", config, "--set", "source.filter=x < 2").out
    assert "rows without x: counted in the first pass" in said


def test_single_precision_of_complete_rows(place: Workplace) -> None:
    frame = two_clusters()
    fitted(place, frame, "single", model={"compute_dtype": "float32"})
    fitted(place, frame, "double")
    a, b = (chosen(place, name) for name in ("single", "double"))
    # float32 errs by 6e-8 of densities of size 1 to 10, in sums that stay in float64
    assert a["log_likelihood_per_row"] == pytest.approx(b["log_likelihood_per_row"], abs=1e-5)
    config = place.config(source={"path": "single.csv", "columns": ["x", "y"]}, model=TIGHT)
    said = place.call("plan", config, "--set", "model.compute_dtype=float32").out
    assert "float32: costs at most 0.1 % of each component's covariance, or the fit" in said
    odd = np.arange(400) % 2  # two groups of width 1 at a distance of a million
    frame.x = np.random.default_rng(4).normal(size=400) + odd * 1e6
    frame.y = np.random.default_rng(5).normal(size=400)
    frame.to_csv(place.path / "far.csv", index=False)
    far = {"path": "far.csv", "columns": ["x", "y"]}
    single = TIGHT | {"compute_dtype": "float32", "reg_covar": 1e-9}
    answer = place.call("run", place.config(source=far, model=single))
    assert answer.code == 2
    assert "use compute_dtype: float64" in answer.err


def test_a_star_catalogue_with_all_of_its_rows(place: Workplace, shared_data: Path) -> None:
    """Gaia DR3: 16 % without proper motions, 92 % without velocities, errors with correlations."""
    path = shared_data / "survey" / "gaia_dr3_cone_ra45_dec0.parquet"
    columns = ["pmra", "pmdec", "parallax", "radial_velocity", "bp_rp"]
    noise = {"std": "{column}_error", "correlation": "{a}_{b}_corr", "exact": ["bp_rp"]}
    words = ["label", "log_density", "deconvolved_mean"]
    config = place.config(
        source={"path": str(path), "columns": columns, "id": "source_id", "noise": noise},
        model={"n_components": 2, "missing": "marginalize", "n_init": 1, "tol": 1e-3},
        output={"columns": words},
        report={"features": [["pmra", "pmdec"], ["parallax", "bp_rp"]]},
    )
    answer = place.call("run", config)
    assert answer.code == 0, answer.err
    table = pd.read_parquet(path)
    values = table[columns].to_numpy()
    found, mixture = assignments(place), model_of(place).mixture_
    blank = np.isnan(values).all(axis=1)
    assert len(found) == len(table) == 2390
    assert ((found.label == -1) == blank).all()
    mean = found.log_density[~blank].mean()
    assert chosen(place)["log_likelihood_per_row"] == pytest.approx(mean, rel=1e-12)
    s = table[["pmra_error", "pmdec_error", "parallax_error", "radial_velocity_error"]].to_numpy()
    r = table[["pmra_pmdec_corr", "parallax_pmra_corr", "parallax_pmdec_corr"]].to_numpy()
    for i in (0, 1, 17, 300, 1200, 2389):
        C = np.zeros((5, 5))
        for (a, b), value in zip([(0, 1), (0, 2), (1, 2)], r[i], strict=True):
            C[a, b] = C[b, a] = value * s[i, a] * s[i, b]
        C[range(4), range(4)] = s[i] ** 2
        o = np.flatnonzero(~np.isnan(values[i]))
        parts = [
            multivariate_normal(m[o], (S + C)[np.ix_(o, o)]).logpdf(values[i][o])
            for m, S in zip(mixture.means, mixture.covariances, strict=True)
        ]
        wanted = logsumexp(parts + np.log(mixture.weights[0]))
        # float32 errors and correlations in the file, which this test multiplies as they are
        assert found.log_density[i] == pytest.approx(wanted, rel=1e-6)
    assert place.manifest["source"]["noise"]["pairs"] == [
        "pmra-pmdec", "pmra-parallax", "pmdec-parallax",
    ]  # fmt: skip
    warned = " ".join(place.manifest["warnings"])
    assert "assumed to be missing at random" in warned
    assert "rows without radial_velocity have a mean parallax of" in warned
    facts = [fact["word"] for fact in place.results()["source"]["rows"]]
    assert facts[0] == "Rows with holes"
    assert "Error of parallax" in facts
