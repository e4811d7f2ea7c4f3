"""A place to run the program's own commands in this process, on small data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from tests.strategies import clusters

RUNNER = CliRunner()


def write_rows(path: Path, n: int = 600, seed: int = 0, columns: str = "name,x,y") -> None:
    """Write a CSV of two well separated clusters, with a name for each row."""
    rows, _ = clusters(n, D=2, K=2, seed=seed, apart=8.0)
    values = {"name": [f"r{i}" for i in range(n)], "x": rows[:, 0], "y": rows[:, 1]}
    names = columns.split(",")
    lines = [columns, *(",".join(str(values[c][i]) for c in names) for i in range(n))]
    path.write_text("\n".join(lines) + "\n")


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The object that ``--json`` printed."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Workplace:
    """A folder with data and a configuration for them."""

    path: Path
    scheduler: str

    def config(self, **sections: Any) -> str:
        """Write ``fit.yaml`` with some sections replaced; return its name."""
        whole = {
            "source": {"path": "rows.csv", "columns": ["x", "y"], "id": "name"},
            "model": {"n_components": "1..2", "n_init": 2, "tol": 1e-5},
            "cluster": {"type": "address", "address": self.scheduler, "timeout": "30s"},
            "report": False,
            "diagnose": False,
        }
        (self.path / "fit.yaml").write_text(yaml.safe_dump({**whole, **sections}))
        return "fit.yaml"

    def call(self, *words: str) -> Answer:
        """Run one command, which must not end in a traceback."""
        result = RUNNER.invoke(app, list(words))
        assert "Traceback" not in result.stderr, result.stderr
        return Answer(result.exit_code, result.stdout, result.stderr)

    @property
    def run(self) -> Path:
        """The folder of the default run."""
        return self.path / "runs" / "fit"

    @property
    def manifest(self) -> dict[str, Any]:
        """Its manifest."""
        return json.loads((self.run / "run.json").read_text())

    def events(self) -> list[dict[str, Any]]:
        """Its events."""
        lines = (self.run / "events.jsonl").read_text().splitlines()
        return [json.loads(line, parse_constant=_refuse) for line in lines]

    def results(self) -> dict[str, Any]:
        """What its report was made of."""
        return json.loads((self.run / "results.json").read_text())

    def labels(self) -> np.ndarray:
        """Labels of its assignments, in the order of the rows."""
        import pyarrow.parquet as pq

        return pq.read_table(self.run / "assignments").column("label").to_numpy()


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
