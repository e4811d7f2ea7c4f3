"""What is fitted in the soak, and the bits that an undisturbed run ends with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from driver import Driver

ROWS, COLUMNS = 70_000, 2
MODELS: dict[str, dict[str, Any]] = {
    "full": {"model": {"n_components": 3, "n_init": 2, "tol": 1e-6}},
    "diag grid": {
        "model": {"n_components": [2, 3], "covariance_type": "diag", "n_init": 1, "tol": 1e-4},
        "transform": ["standardize"],
        "output": {"format": "zarr"},
    },
    "tied": {
        "model": {"n_components": 3, "covariance_type": "tied", "n_init": 2, "tol": 1e-4},
        "output": {"format": "csv", "columns": ["label", "probability"]},
    },
}
THREADS = {"n_workers": 1, "threads_per_worker": 2, "options": {"processes": False}}
PROCESSES = {"n_workers": 2}


class Bits(NamedTuple):
    """What must be the same whatever died."""

    model: str
    assignments: str
    passes: int


def write_rows(folder: Path) -> None:
    """Write rows of three overlapping clusters."""
    rng = np.random.default_rng(11)
    centres = 2.5 * np.array([[0.0, 0.0], [1.0, 0.3], [0.4, 1.2]])
    shapes = np.array(
        [[[1.0, 0.3], [0.0, 0.8]], [[0.7, 0.0], [0.4, 1.1]], [[1.2, 0.1], [0.2, 0.6]]]
    )
    labels = rng.integers(3, size=ROWS)
    noise = rng.normal(size=(ROWS, COLUMNS))
    rows = centres[labels] + np.einsum("ni,nij->nj", noise, shapes[labels])
    np.save(folder / "rows.npy", rows)


def write_config(
    folder: Path, name: str, model: str, cluster: Mapping[str, Any], **sections: Any
) -> str:
    """Write a configuration; return its file's name."""
    whole = {
        "source": {"path": "rows.npy"},
        "cluster": {**cluster, "timeout": "60s"},
        "report": False,
        **MODELS[model],
        **sections,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(whole))
    return f"{name}.yaml"


def bits_of(folder: Path, name: str) -> Bits:
    """Return the bits of a finished run."""
    manifest = json.loads((folder / "runs" / name / "run.json").read_text())
    outputs = manifest["outputs"]
    return Bits(manifest["model_fingerprint"], outputs["assignments"]["sha256"], manifest["passes"])


def references(folder: Path) -> dict[str, Bits]:
    """Run every model undisturbed."""
    found = {}
    for model in MODELS:
        name = "undisturbed-" + model.replace(" ", "-")
        driver = Driver(folder, name, write_config(folder, name, model, THREADS))
        code = driver.wait(300.0)
        if code != 0:
            raise SystemExit(f"{model} undisturbed ended with {code}: {driver.told()}")
        found[model] = bits_of(folder, name)
    return found
