"""The record of a run: machine, table and plot."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cases import CASES

Rows = list[dict[str, Any]]

PACKAGES = ("gmm-dask", "numpy", "scikit-learn", "dask", "llvmlite")
HEAD = (
    "| covariance, D, K | Dask, 2 threads | plain threads, 4e5 rows | ns per row and component | "
    "of the dense bound |\n|---|---|---|---|---|"
)


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": models[0] if models else platform.processor(),
        "cores": str(len(models)),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def write(path: Path, values: dict[str, Any]) -> None:
    """Write a record as JSON."""
    path.write_text(json.dumps(values, indent=1) + "\n")


def together(path: Path, found: Rows) -> Rows:
    """Return new cases with those of an earlier record of this machine, in the table's order."""
    earlier = json.loads(path.read_text()) if path.is_file() else {}
    known = earlier.get("passes", []) if _same(earlier.get("machine", {})) else []
    rows = {row["name"]: row for row in [*known, *found]}
    return [rows[case.name] for case in CASES if case.name in rows]


def _same(other: dict[str, str]) -> bool:
    """Whether a record is of this machine and software."""
    return {**other, "date": ""} == {**machine(), "date": ""}


def label(row: dict[str, Any]) -> str:
    """Return the name of a case as people write it."""
    overlapping = ", overlapping" if row["spread"] < 1 else ""
    return f"{row['covariance_type']} {row['columns']}, {row['components']}{overlapping}"


def as_markdown(rows: Rows) -> str:
    """Return the table that the README shows."""
    lines = [HEAD]
    for row in rows:
        ns = row["ns_row_component"]
        lines.append(
            f"| {label(row)} | {row['ratio']['cluster']:.1f}x | {row['ratio']['threads']:.1f}x | "
            f"{ns['cluster']:.2f} (scikit-learn {ns[row['better_sklearn']]:.0f}) | "
            f"{row['of_bound']:.0%} |"
        )
    return "\n".join(lines)


def plot(rows: Rows, path: Path) -> None:
    """Draw the ratios as bars, one or more for each case."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.6 + 0.32 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    names = [label(row) for row in rows][::-1]
    ratios = [row["ratio"]["cluster"] for row in rows][::-1]
    bars = axes.barh(names, ratios, color="#1c6ea4")
    axes.bar_label(bars, fmt="%.0fx", padding=3)
    axes.set_xlabel("times faster than scikit-learn: one EM pass, two cores")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
