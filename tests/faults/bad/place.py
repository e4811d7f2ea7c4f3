"""Where bad inputs are tried: the program's own function, and what must hold after every answer."""

from __future__ import annotations

import contextlib
import io
import json
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml

from gmm_dask import GaussianMixture
from pipeline.cli import app

COMMAND = typer.main.get_command(app)
CODES = (0, 2, 3, 4, 5)
"""What a user's input may lead to; 1 would be a fault of the program."""
REFUSED = (2, 3, 4)
FINISHED = (0, 5)


@dataclass(frozen=True)
class Answer:
    """What the program said."""

    code: int
    out: str
    err: str
    warned: tuple[str, ...]


def ask(*words: str) -> Answer:
    """Run a command in this process, by the function that the installed program calls."""
    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.ExitStack()
    streams.enter_context(contextlib.redirect_stdout(out))
    streams.enter_context(contextlib.redirect_stderr(err))
    # a run is worked at from the folder in which it was started
    streams.enter_context(contextlib.chdir(Path.cwd()))
    with streams, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(SystemExit) as ended:
            COMMAND(args=list(words), prog_name="gmm-dask")
    told = tuple(f"{item.category.__name__}: {item.message}" for item in caught)
    assert isinstance(ended.value.code, int)
    return Answer(ended.value.code, out.getvalue(), err.getvalue(), told)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Work in a fresh folder, which is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="bad-") as name, contextlib.chdir(name):
        yield Path()


def write_config(path: Path, cluster: dict[str, Any], **sections: Any) -> str:
    """Write a configuration of a fit of few passes; sections are laid over those here."""
    whole = {
        "run": {"accept_not_converged": True},
        "source": {},
        "model": {"n_components": 2, "n_init": 1, "tol": 1e-2, "max_iter": 2},
        "output": {"columns": ["label", "log_density"]},
        "cluster": cluster,
        "report": False,
        "diagnose": False,
    }
    for name, section in sections.items():
        known = whole.get(name)
        both = isinstance(section, dict) and isinstance(known, dict)
        whole[name] = {**known, **section} if both else section
    path.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")
    return str(path)


def check(answer: Answer, codes: tuple[int, ...] = CODES, told: str = "") -> None:
    """Fail unless an answer has one of some codes and an error is a sentence that says why.

    Parameters
    ----------
    answer : Answer
    codes : tuple of int
    told : str
        A regular expression of what an error must name.
    """
    assert answer.code in codes, f"exit {answer.code}, not {codes}\n{answer.err}\n{answer.out}"
    assert "Traceback" not in answer.err + answer.out, answer.err
    noise = [text for text in answer.warned if text.startswith("RuntimeWarning")]
    assert not noise, noise
    if answer.code in REFUSED:
        errors = [line for line in answer.err.split("\n") if line.startswith("error: ")]
        assert len(errors) == 1, answer.err
        assert f"(exit {answer.code})" in errors[0], answer.err
        assert len(errors[0]) > len("error: (exit 2)") + 10, answer.err
        assert re.search(told, answer.err), f"nothing of {told!r} in {answer.err}"


def check_runs(answer: Answer) -> None:
    """Fail unless what lies in ``runs`` is whole after success, and looks unfinished otherwise."""
    for run in Path("runs").glob("*"):
        file = run / "run.json"
        status = json.loads(file.read_text())["status"] if file.is_file() else "none"
        left = {item.name for item in run.iterdir()}
        if answer.code in FINISHED:
            assert status == "finished", answer
            assert_finite(run / "model.zarr")
        else:
            assert status != "finished", answer
            outputs = {"model.zarr", "candidates.csv", "assignments", "report.html"}
            assert not left & outputs, (left, answer)


def assert_finite(model: Path) -> None:
    """Fail unless all parameters of a stored model are finite, in source units."""
    fitted = GaussianMixture.load(model)
    for name in ("weights_", "means_", "covariances_"):
        value = np.asarray(getattr(fitted, name))
        assert np.isfinite(value).all(), (name, value)
