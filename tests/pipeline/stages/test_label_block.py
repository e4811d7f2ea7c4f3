from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal

from gmm_dask import ArraySource, Block, DataError, GaussianMixture, LocalEngine, Mixture
from pipeline.sinks import Layout, open_sink
from pipeline.stages import label_block
from pipeline.stages.label import label_schema
from pipeline.stages.label_block import LabelBlock, summarize
from pipeline.stages.seen import Sight
from pipeline.stages.transform import Transform

N_ROWS = 9000
COLUMNS = ("label", "probability", "log_density", "entropy", "responsibilities")


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(3)
    label = rng.choice(3, size=N_ROWS, p=[0.5, 0.3, 0.2])
    return rng.normal(size=(N_ROWS, 2)) + np.array([[0, 0], [4, 1], [-3, 5.0]])[label]


@pytest.fixture(scope="module")
def mixture(values: np.ndarray) -> Mixture:
    return GaussianMixture(3, n_init=1, random_state=0, max_iter=5, tol=1e9).fit(values).mixture_


def reference(mixture: Mixture, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log densities and responsibilities by scipy."""
    parameters = zip(mixture.means, mixture.dense_covariances, strict=True)
    densities = [
        multivariate_normal(mean, covariance).logpdf(values) for mean, covariance in parameters
    ]
    log_joint = np.stack(densities, axis=1) + np.log(mixture.weights[0])
    return logsumexp(log_joint, axis=1), softmax(log_joint, axis=1)


@dataclass(frozen=True)
class Names:
    """Rows named by their number."""

    short_by: int = 0

    def identity(self, lo: int, hi: int) -> pa.Table:
        return pa.table({"cell": [f"c{row}" for row in range(lo, hi - self.short_by)]})


@dataclass
class Memory:
    """Keeps what it is given."""

    parts: dict[int, pa.Table] = field(default_factory=dict)

    def write_part(self, start: int, table: pa.Table) -> int:
        self.parts[start] = table
        return start

    @property
    def table(self) -> pa.Table:
        return pa.concat_tables(self.parts[start] for start in sorted(self.parts))


def run(mixture: Mixture, values: np.ndarray, **options: Any) -> tuple[pa.Table, Any]:
    memory = Memory()
    function = LabelBlock(mixture, Names(), memory, COLUMNS, **{"part_rows": 4096} | options)
    results = LocalEngine(block_rows=8192).map(function, ArraySource(values))
    return memory.table, summarize(results)


def test_outputs_against_scipy(mixture: Mixture, values: np.ndarray) -> None:
    found, result = run(mixture, values)
    log_density, resp = reference(mixture, values)
    assert found.column("cell").to_pylist() == [f"c{row}" for row in range(N_ROWS)]
    np.testing.assert_allclose(found.column("log_density"), log_density, rtol=1e-11)
    for k in range(3):
        # both compute in doubles; a log joint of size 100 has 1e-14 of error
        np.testing.assert_allclose(found.column(f"resp_{k}"), resp[:, k], rtol=1e-11, atol=1e-300)
    assert found.column("label").to_pylist() == resp.argmax(axis=1).tolist()
    assert result.n_rows == N_ROWS
    assert result.parts == (0, 4096, 8192)


def test_counts_are_those_of_the_rows(mixture: Mixture, values: np.ndarray) -> None:
    found, result = run(mixture, values)
    probability = found.column("probability").to_numpy()
    assert result.label_counts == tuple(np.bincount(found.column("label"), minlength=3))
    assert result.ambiguous == (probability < 0.9).sum() > 0
    assert result.histogram == tuple(np.histogram(probability, 50, (0, 1))[0])
    assert pickle.loads(pickle.dumps(result)) == result


def test_parts_and_blocks_do_not_change_rows(mixture: Mixture, values: np.ndarray) -> None:
    whole, counts = run(mixture, values, part_rows=8192)
    cut, _ = run(mixture, values, part_rows=2048)
    assert cut.equals(whole)
    assert counts.parts == (0, 8192)


def test_the_jacobian_and_the_transform_see_the_rows_as_they_are(
    mixture: Mixture, values: np.ndarray
) -> None:
    seen = []

    class Tenth:
        def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
            seen.append(start)
            return rows / 10

        def log_jacobian(self, rows: np.ndarray) -> np.ndarray:
            return rows[:, 0]

    found, _ = run(mixture, values * 10, transform=Tenth())
    plain, _ = run(mixture, values)
    np.testing.assert_allclose(
        found.column("log_density").to_numpy(),
        plain.column("log_density").to_numpy() + 10 * values[:, 0],
        rtol=1e-9,
        atol=1e-9,
    )
    assert found.column("label").equals(plain.column("label"))
    assert sorted(seen) == [0, 4096, 8192]


def test_factorisations_are_made_once_per_process(
    mixture: Mixture, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    prepare = Mixture.prepare
    monkeypatch.setattr(Mixture, "prepare", lambda self: made.append(1) or prepare(self))
    label_block._prepared.clear()
    function = LabelBlock(mixture, Names(), Memory(), ("label",), 4096)
    for start in (0, 4096, 0):
        travelled: Callable[[Block], Any] = pickle.loads(pickle.dumps(function))
        travelled(Block(values[:4096], start))
    assert made == [1]
    for number in range(5):
        label_block.prepared(str(number), Sight(mixture))
    assert len(label_block._prepared) == label_block.KEPT


def test_a_row_without_a_density_is_told_by_its_number(
    mixture: Mixture, values: np.ndarray
) -> None:
    class Folded(Transform):
        def log_jacobian(self, rows: np.ndarray) -> np.ndarray:
            return np.where(rows[:, 0] == values[5000, 0], -np.inf, 0.0)

    with pytest.raises(DataError, match="row 5000 has no density"):
        run(mixture, values, transform=Folded(("x", "y")))
    holes = values.copy()
    holes[5000] = np.nan
    with pytest.raises(DataError, match="NaN"):
        run(mixture, holes)


def test_a_source_that_names_too_few_rows(mixture: Mixture, values: np.ndarray) -> None:
    function = LabelBlock(mixture, Names(short_by=1), Memory(), ("label",), 4096)
    with pytest.raises(DataError, match="rows 4096 to 8191 have 4095 identities"):
        function(Block(values[:4096], 4096))


@pytest.mark.parametrize("kind", ["parquet", "csv", "zarr"])
def test_all_the_way_into_files(
    kind: str, mixture: Mixture, values: np.ndarray, tmp_path: Path
) -> None:
    expected, _ = run(mixture, values)
    schema = label_schema(Names().identity(0, 1).schema, COLUMNS, 3)
    sink = open_sink(kind, tmp_path / "assignments", Layout(schema, N_ROWS, 4096))
    function = LabelBlock(mixture, Names(), sink, COLUMNS, 4096)
    results = LocalEngine(block_rows=8192).map(function, ArraySource(values))
    record = sink.commit(summarize(results).parts)
    assert record.columns == tuple(expected.column_names)
    if kind != "zarr":
        found = ds.dataset(record.path, format=kind).to_table()
        # a reader of CSV guesses int64 for what is int32
        assert found.to_pydict() == expected.to_pydict()
