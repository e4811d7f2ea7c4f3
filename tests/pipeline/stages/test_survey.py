"""What rows lack, counted by folds, against pandas."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from gmm_dask import ArraySource, LocalEngine, Observed, RowLayout
from pipeline.stages import survey
from pipeline.stages.survey import Survey, near_means

N, D = 20_000, 4


def rows_of() -> Observed:
    """The second column is missing where the first is large; the fourth at random."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(N, D)) + 1e6
    values[values[:, 0] > 1e6 + 0.5, 1] = np.nan
    values[rng.random(N) < 0.1, 3] = np.nan
    values[7] = np.nan
    return Observed(values, None, rng.gamma(2.0, size=(N, D)))


LAYOUT = RowLayout(D, False, "diag", missing=True)


def surveyed(rows: Observed, engine: LocalEngine, layout: RowLayout = LAYOUT):
    about = near_means(rows.values[:100])
    return engine.fold(Survey(layout, about), ArraySource(layout.join(rows)))


@pytest.fixture(scope="module")
def rows() -> Observed:
    return rows_of()


def test_patterns_and_columns(rows: Observed) -> None:
    found = surveyed(rows, LocalEngine(block_rows=4096))
    there = ~np.isnan(rows.values)
    counts = Counter(tuple(map(int, np.flatnonzero(row))) for row in there)
    assert dict(found.patterns) == counts
    assert [rows for _, rows in found.patterns] == sorted(counts.values(), reverse=True)
    assert found.complete == int(there.all(axis=1).sum())
    assert found.blank == 1
    assert found.others == 0
    table = pd.DataFrame(rows.values)
    np.testing.assert_array_equal(found.there, table.count())
    # values at 1e6 cancel six digits unless they are taken about the head's medians
    np.testing.assert_allclose(found.deviation, table.std(ddof=0), rtol=1e-10)
    mean_noise = np.nanmean(np.where(there, rows.noise, np.nan), axis=0)
    np.testing.assert_allclose(found.error, np.sqrt(mean_noise), rtol=1e-12)


def test_how_rows_with_holes_differ(rows: Observed) -> None:
    found = {each.missing: each for each in surveyed(rows, LocalEngine()).differences}
    first = pd.Series(rows.values[:, 0])
    gone = np.isnan(rows.values[:, 1])
    assert found[1].column == 0
    assert found[1].without == pytest.approx(first[gone].mean(), rel=1e-12)
    assert found[1].with_it == pytest.approx(first[~gone].mean(), rel=1e-12)
    apart = (first[gone].mean() - first[~gone].mean()) / first.std(ddof=0)
    assert found[1].deviations == pytest.approx(apart, rel=1e-6)
    assert 3 not in found  # missing at random: below four standard errors
    assert set(found) == {1}


def test_the_cut_into_blocks_changes_no_count(rows: Observed) -> None:
    one, many = (surveyed(rows, LocalEngine(block_rows=size)) for size in (32_768, 4096))
    assert one.patterns == many.patterns
    np.testing.assert_allclose(one.deviation, many.deviation, rtol=1e-12)


def test_patterns_do_not_grow_without_bound(rows: Observed, monkeypatch) -> None:
    monkeypatch.setattr(survey, "LARGEST", 0)
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(6000, 12))
    holes = rng.random(wide.shape) < 0.5
    holes[:3000] = [True, *[False] * 11]
    wide[holes] = np.nan
    layout = RowLayout(12, missing=True)
    fold = Survey(layout, (0.0,) * 12)
    found = LocalEngine(block_rows=4096).fold(fold, ArraySource(wide))
    assert len(found.patterns) == fold.kept == 64
    assert found.patterns[0] == (tuple(range(1, 12)), pytest.approx(3000, abs=5))
    assert sum(count for _, count in found.patterns) + found.others == 6000 == found.n_rows
