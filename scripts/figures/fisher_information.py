"""The figure of gmm_dask/diagnostics/README.md: ``python scripts/figures/fisher_information.py``.

What a row tells about half the distance of two equal components, and the rows that are needed.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "gmm-dask", "svg.fonttype": "none", "font.size": 9})

from matplotlib import pyplot as plt  # noqa: E402  # after the choice of the backend

from gmm_dask import fisher_information  # noqa: E402
from gmm_dask.diagnostics.pair import Line  # noqa: E402
from gmm_dask.diagnostics.pair_information import rows_for_separation  # noqa: E402

TARGET = Path(__file__).resolve().parents[2] / "gmm_dask" / "diagnostics" / "fisher_information.svg"
KNOWN, UNKNOWN, FREE = "#0072b2", "#d55e00", "#333333"


def rows_needed(theta: float, weight: float) -> float:
    line = Line(np.array([weight, 1 - weight]), np.array([-theta, theta]), np.ones(2))
    return rows_for_separation(line, common_width=False)[1]


def main() -> None:
    theta = np.geomspace(0.05, 4, 41)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.1), layout="constrained")
    left.loglog(theta, fisher_information(theta, sigma_known=True), color=KNOWN)
    left.loglog(theta, fisher_information(theta), color=UNKNOWN)
    left.loglog(theta, 2 * theta**2, "--", color=KNOWN, lw=0.8)
    left.loglog(theta, 8 / 3 * theta**6, "--", color=UNKNOWN, lw=0.8)
    left.set(ylim=(1e-8, 3), ylabel="information per row", xlabel="half the distance of the means")
    left.text(0.055, 0.2, "width known\n(dashed: 2 θ²)", color=KNOWN)
    left.text(0.5, 1e-6, "width unknown\n(dashed: 8/3 θ⁶)", color=UNKNOWN)
    for weight, style in ((0.5, "-"), (0.4, "--"), (0.2, ":")):
        rows = [rows_needed(float(t), weight) for t in theta]
        right.loglog(theta, rows, style, color=FREE, label=f"weights {weight} and {1 - weight}")
    known = 9 / (theta**2 * fisher_information(theta, sigma_known=True))
    right.loglog(theta, known, color=KNOWN, label="all but θ known")
    right.set(ylim=(1, 1e12), ylabel="rows for three standard errors")
    right.set_xlabel("half the distance of the means")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(TARGET, metadata={"Date": None})


if __name__ == "__main__":
    main()
