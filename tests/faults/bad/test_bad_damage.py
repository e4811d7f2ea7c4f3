"""Good files with some bytes changed: refused in words, or read as what they now say."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.faults.bad.case import Case
from tests.faults.bad.damage import STRATEGIES
from tests.faults.bad.place import malformed, tried


@given(case=STRATEGIES["parquet"])
@malformed(25)
def test_parquet(cluster: dict[str, Any], case: Case) -> None:
    tried(test_parquet)
    case.attempt(cluster)


@given(case=STRATEGIES["csv"] | STRATEGIES["csv.gz"] | STRATEGIES["csv.bz2"])
@malformed(30)
def test_text(cluster: dict[str, Any], case: Case) -> None:
    tried(test_text)
    case.attempt(cluster)


@given(case=STRATEGIES["npy"] | STRATEGIES["npy by column"])
@malformed(20)
def test_npy(cluster: dict[str, Any], case: Case) -> None:
    tried(test_npy)
    case.attempt(cluster)


@given(case=STRATEGIES["plain zarr"] | STRATEGIES["zarr 2"] | STRATEGIES["zarr 3"])
@malformed(30)
def test_zarr(cluster: dict[str, Any], case: Case) -> None:
    tried(test_zarr)
    case.attempt(cluster)


@given(case=STRATEGIES["h5ad"] | STRATEGIES["anndata zarr"])
@malformed(30)
def test_anndata(cluster: dict[str, Any], case: Case) -> None:
    tried(test_anndata)
    case.attempt(cluster)
