"""Good files with some bytes changed: refused in words, or read as what they now say."""

from __future__ import annotations

from typing import Any

from tests.faults.bad.case import Case
from tests.faults.bad.damage import STRATEGIES
from tests.faults.bad.malformed import malformed


@malformed(15, case=STRATEGIES["parquet"])
def test_parquet(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(15, case=STRATEGIES["csv"] | STRATEGIES["csv.gz"] | STRATEGIES["csv.bz2"])
def test_text(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(15, case=STRATEGIES["npy"] | STRATEGIES["npy by column"])
def test_npy(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(15, case=STRATEGIES["plain zarr"] | STRATEGIES["zarr 2"] | STRATEGIES["zarr 3"])
def test_zarr(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(15, case=STRATEGIES["h5ad"] | STRATEGIES["anndata zarr"])
def test_anndata(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)
