"""Fitted transforms against scikit-learn and formulas, and what passes they take."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from gmm_dask import (
    ArraySource,
    ConfigError,
    DataError,
    GaussianMixture,
    LocalEngine,
)
from pipeline.config import Step
from pipeline.stages.fit_steps import fit_transform
from pipeline.stages.steps import Pca
from pipeline.stages.transform import Transform, TransformedSource

NAMES = ("a", "b", "c", "d")
SCALES = np.array([1.0, 100.0, 1e-3, 7.0])


def steps_of(*written: Any) -> list[Step]:
    return [Step.model_validate(step) for step in written]


def rows_of(n: int = 3000, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.exp(0.4 * (rng.normal(size=(n, 4)) @ rng.normal(size=(4, 4)))) * SCALES


def fitted(*written: Any, rows: np.ndarray | None = None) -> tuple[Transform, LocalEngine]:
    source = ArraySource(rows_of() if rows is None else rows, NAMES)
    engine = LocalEngine(1)
    return fit_transform(steps_of(*written), source, engine), engine


def test_standardize_is_scikit_learns() -> None:
    rows = rows_of()
    transform, engine = fitted("standardize")
    assert np.allclose(transform.apply(rows), StandardScaler().fit_transform(rows), atol=1e-10)
    assert len(engine.history) == 1


@pytest.mark.parametrize("m", [1, 2, 4])
def test_pca_is_scikit_learns_up_to_the_sign_rule(m: int) -> None:
    rows = rows_of()
    transform, _ = fitted({"pca": m})
    reference = PCA(m, svd_solver="full").fit(rows)
    (step,) = transform.steps
    assert isinstance(step, Pca)
    turn = np.sign((step.components * reference.components_).sum(axis=1))
    # eigenvectors of a covariance against singular vectors of the rows: columns differ in scale
    # by 1e5, and squares lose half the digits of the smallest direction
    assert np.allclose(step.components * turn[:, None], reference.components_, atol=1e-8)
    assert np.allclose(step.explained, reference.explained_variance_ratio_, atol=1e-12)
    assert np.allclose(transform.apply(rows) * turn, reference.transform(rows), atol=1e-6)
    assert transform.after == tuple(f"pc{i + 1}" for i in range(m))
    largest = step.components[np.arange(m), np.abs(step.components).argmax(axis=1)]
    assert (largest > 0).all()


def test_standardize_and_pca_take_one_pass_together() -> None:
    transform, engine = fitted("standardize", {"pca": 2})
    assert len(engine.history) == 1
    rows = rows_of()
    whitened = StandardScaler().fit_transform(rows)
    scores = PCA(2).fit_transform(whitened)
    turn = np.sign((transform.apply(rows) * scores).sum(axis=0))
    assert np.allclose(transform.apply(rows) * turn, scores, atol=1e-9)


@pytest.mark.parametrize(
    ("steps", "passes"),
    [
        ([], 0),
        (["log"], 0),
        ([{"arcsinh": {"cofactor": 5}}, "log"], 0),
        (["log", "standardize"], 1),
        (["standardize", {"pca": 3}, "standardize"], 1),
        (["standardize", {"arcsinh": {"cofactor": 1}}, {"pca": 2}], 2),
    ],
)
def test_passes_of_a_chain(steps: list[Any], passes: int) -> None:
    transform, engine = fitted(*steps)
    assert len(engine.history) == passes
    assert len(transform.steps) == len(steps)


def test_a_later_linear_step_sees_what_the_earlier_one_left() -> None:
    transform, _ = fitted("standardize", {"pca": 3}, "standardize")
    seen = transform.apply(rows_of())
    assert np.allclose(seen.mean(axis=0), 0, atol=1e-10)
    assert np.allclose(seen.std(axis=0), 1, atol=1e-9)
    transform, _ = fitted("log", "standardize")
    logs = np.log(rows_of())
    assert np.allclose(transform.apply(rows_of()), StandardScaler().fit_transform(logs), atol=1e-10)


def test_steps_limited_to_columns() -> None:
    transform, _ = fitted({"arcsinh": {"columns": ["d", "b"], "cofactor": 150}})
    rows = rows_of()
    expected = rows.copy()
    expected[:, [1, 3]] = np.arcsinh(rows[:, [1, 3]] / 150)
    assert np.array_equal(transform.apply(rows), expected)
    assert transform.describe() == ["arcsinh with cofactor 150 of d, b"]


def test_unknown_column_of_a_step() -> None:
    with pytest.raises(ConfigError, match=r"transform.log.columns: e not among a, b, c, d"):
        fitted({"log": {"columns": ["a", "e"]}})


def test_value_that_is_not_positive_is_named_before_any_fit() -> None:
    rows = rows_of()
    rows[2345, 1] = -4.0
    with pytest.raises(DataError, match=r"transform log: b is -4 in row 2345"):
        fitted("log", "standardize", rows=rows)


def test_pca_wider_than_the_columns() -> None:
    with pytest.raises(ConfigError, match=r"transform.pca: 5 components of 4 columns; at most 4"):
        fitted({"pca": 5})


def test_pca_of_more_directions_than_vary() -> None:
    rows = rows_of()
    rows[:, 3] = rows[:, 0] + 2 * rows[:, 1]
    with pytest.raises(ConfigError, match=r"pca: 4 components, but the 4 columns vary in only 3"):
        fitted({"pca": 4}, rows=rows)
    rows[:, 3] = 8.0
    with pytest.raises(ConfigError, match=r"only 3 directions .* set pca: 3 or fewer"):
        fitted({"pca": 4}, rows=rows)
    assert fitted({"pca": 3}, rows=rows)[0].after == ("pc1", "pc2", "pc3")


def test_constant_column_cannot_be_standardized() -> None:
    rows = rows_of()
    rows[:, 2] = 0.25
    with pytest.raises(DataError, match=r"1 of 4 columns are constant: c \(always 0.25\)"):
        fitted("standardize", rows=rows)


def test_nan_is_told_in_the_source_columns() -> None:
    rows = rows_of()
    rows[[7, 9], 2] = np.nan
    with pytest.raises(DataError, match=r"2 of 3000 rows have no c \(first: row 7\)"):
        fitted("log", {"pca": 2}, rows=rows)


def test_inverse_and_covariance_of_a_chain_by_simulation() -> None:
    transform, _ = fitted("log", "standardize", {"pca": 4})
    rows = rows_of()
    assert np.allclose(transform.invert(transform.apply(rows)), rows, rtol=1e-10)
    rng = np.random.default_rng(0)
    mean = transform.apply(rows[:1])[0]
    draws = mean + 1e-3 * rng.normal(size=(200_000, 4))
    told = transform.invert_covariance(mean, 1e-6 * np.eye(4))
    seen = np.cov(transform.invert(draws), rowvar=False)
    size = np.sqrt(np.outer(np.diagonal(told), np.diagonal(told)))
    assert (np.abs(seen - told) <= 0.02 * size).all()  # sampling error 0.003


@pytest.mark.parametrize(
    "steps",
    [
        ["standardize"],
        ["log", "standardize", {"pca": 4}],
        [{"arcsinh": {"cofactor": 3}}, {"pca": 4}, {"arcsinh": {"cofactor": 0.1}}],
    ],
)
def test_log_jacobian_of_a_chain_by_finite_differences(steps: list[Any]) -> None:
    transform, _ = fitted(*steps)
    for row in rows_of(6, seed=8):
        width = 1e-6 * row
        plus = transform.apply(row + np.diag(width))
        minus = transform.apply(row - np.diag(width))
        derivative = (plus - minus) / (2 * width[:, None])
        told = transform.log_jacobian(row[None])[0]
        assert told == pytest.approx(np.linalg.slogdet(derivative)[1], abs=1e-5)
        if transform.constant_jacobian is not None:
            assert told == pytest.approx(transform.constant_jacobian, rel=1e-12)


def test_a_pca_that_reduces_leaves_only_what_follows_it() -> None:
    transform, _ = fitted("standardize", {"pca": 2})
    assert transform.reduces
    assert transform.constant_jacobian == 0.0
    assert np.array_equal(transform.log_jacobian(rows_of(5)), np.zeros(5))
    transform, _ = fitted("standardize", {"pca": 2}, "standardize")
    last = transform.steps[-1]
    assert transform.constant_jacobian == last.constant_jacobian
    assert transform.constant_jacobian != 0.0


def test_transforms_come_back_from_models_dicts_and_pickles(tmp_path: Path) -> None:
    transform, _ = fitted({"log": {"columns": ["b"]}}, "standardize", {"pca": 3})
    rows = rows_of(50)
    model = GaussianMixture(1, random_state=0).fit(transform.apply(rows))
    model.save(tmp_path / "model.zarr", {"transform": transform.as_dict()})
    stored = GaussianMixture.load(tmp_path / "model.zarr").extra_["transform"]
    for again in (
        Transform.from_dict(stored),
        Transform.from_dict(transform.as_dict()),
        pickle.loads(pickle.dumps(transform)),
    ):
        assert again.before == NAMES
        assert again.after == transform.after
        assert np.array_equal(again.apply(rows), transform.apply(rows))
        assert np.array_equal(again.log_jacobian(rows), transform.log_jacobian(rows))
        assert again.describe() == transform.describe()


def test_fingerprint_of_a_transformed_source() -> None:
    source = ArraySource(rows_of(), NAMES)
    chains = [
        ["log"],
        [{"log": {"columns": ["a"]}}],
        [{"arcsinh": {"cofactor": 5}}],
        [{"arcsinh": {"cofactor": 6}}],
        ["standardize"],
        ["log", "standardize"],
        [{"pca": 3}],
        [{"pca": 2}],
    ]
    seen = [TransformedSource(source, fitted(*chain)[0]).fingerprint for chain in chains]
    again = [TransformedSource(source, fitted(*chain)[0]).fingerprint for chain in chains]
    assert seen == again
    assert len({*seen, source.fingerprint}) == len(chains) + 1
    other = ArraySource(rows_of(seed=6), NAMES)
    assert TransformedSource(other, fitted("log")[0]).fingerprint not in seen


def test_transformed_source_reads_as_the_whole() -> None:
    rows = rows_of().astype(np.float32)
    transform, _ = fitted("log", {"pca": 2})
    source = TransformedSource(ArraySource(rows, NAMES), transform)
    assert (source.n_rows, source.columns) == (3000, ("pc1", "pc2"))
    assert source.dtype == np.float64
    block = source.read(100, 200)
    assert block.start == 100
    assert np.array_equal(block.values, transform.apply(rows)[100:200])
    assert block.values.flags.c_contiguous
    again = pickle.loads(pickle.dumps(source))
    assert np.array_equal(again.read(5, 9).values, source.read(5, 9).values)


def test_without_steps_nothing_changes() -> None:
    transform, engine = fitted()
    rows = rows_of(10).astype(np.float32)
    assert transform.apply(rows) is rows
    assert np.array_equal(transform.invert(rows), rows)
    assert transform.constant_jacobian == 0.0
    assert not transform.reduces
    assert transform.after == NAMES
    assert engine.history == []
