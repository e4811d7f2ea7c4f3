"""The record of the figures: lines, JSON and a plot."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def as_lines(name: str, found: dict[str, Any]) -> list[str]:
    """Return the table of one set."""
    lines = [f"{name}, N = {found['rows']:,}, best {found['best']:.6f} per row"]
    for method, row in found.items():
        if isinstance(row, dict):
            lines.append(
                f"  {method:24} {row['passes']:8.1f} passes {row['cpu_seconds']:8.1f} CPU s  gap "
                f"{row['gap']:8.1e}  below best {row['below_best']:8.1e}  reach {row['reach']:.0%}"
            )
    return lines


def keep(folder: Path, name: str, found: dict[str, Any]) -> None:
    """Put the figures of one set beside the others, and draw all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "convergence.json"
    record = json.loads(path.read_text()) if path.is_file() else {}
    record[f"{name}, {found['rows']}"] = {"date": datetime.now(UTC).date().isoformat(), **found}
    path.write_text(json.dumps(record, indent=1) + "\n")
    plot(record, folder / "convergence.svg")


def plot(record: dict[str, Any], path: Path) -> None:
    """Draw passes over the data, and the distance to the best optimum known, by method."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.8 + 1.3 * len(record)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    methods = ["EM", "SQUAREM", "race", "scikit-learn, 5 starts"]
    colours = ["#9aa5b1", "#5b8db8", "#1c6ea4", "#d08c3f"]
    for i, found in enumerate(record.values()):
        for j, (method, colour) in enumerate(zip(methods, colours, strict=True)):
            row, y = found[method], i + 0.2 * (j - 1.5)
            left.barh(y, row["passes"], 0.18, color=colour, label=method if i == 0 else None)
            right.plot(max(row["below_best"], 1e-9), y, "o", color=colour)
    left.set_yticks(range(len(record)), record)
    left.invert_yaxis()
    left.set_xscale("log")
    left.set_xlabel("passes over the data, median")
    right.set_xscale("log")
    right.set_xlabel("log-likelihood per row below the best known, median")
    left.legend(loc="lower right", fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
