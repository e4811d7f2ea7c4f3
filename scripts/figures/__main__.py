"""Draw the figures of the documentation: ``python scripts/figures``."""

from __future__ import annotations

from pathlib import Path

from hues import hues

ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    hues(ROOT / "gmm_dask" / "families" / "hues.svg")
