"""New rows drawn from the chosen mixture, and what a decoder makes of them."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from gmm_dask import ConfigError, GaussianMixture
from pipeline.config import Config
from pipeline.run.fitting import Fitted
from pipeline.sinks import sha256_of
from pipeline.sinks.disk import LOCAL, make_folders, write_atomic
from pipeline.stages.steps import FloatArray

ROWS, DECODED = "rows.csv", "decoded.npy"

Decoder = Callable[[FloatArray], Any]


def decoder_of(config: Config) -> Decoder | None:
    """Return the function that decodes sampled rows, None where there is none.

    It is one that the configuration allows by name (a rule of the configuration), and it is
    imported before the first pass, so that a wrong name costs nothing.

    Raises
    ------
    ConfigError
        There is no such module or function.
    """
    if config.sample is False or config.sample.decode is None:
        return None
    module, _, name = config.sample.decode.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"sample.decode: {config.sample.decode} cannot be imported ({error}); install the "
            "package, or set PYTHONPATH to the folder of the file"
        ) from error
    if not callable(found):
        raise ConfigError(f"sample.decode: {config.sample.decode} is not a function")
    decoder: Decoder = found
    return decoder


def write_sample(config: Config, fitted: Fitted) -> dict[str, dict[str, Any]]:
    """Write new rows, and what they decode to; return the manifest's entries.

    Rows are in source units, in the order in which they were drawn; they depend on
    ``model.random_state`` alone. Those of a pca are points of its subspace.

    Raises
    ------
    ConfigError
        The decoder fails, or gives something else than one array entry for each row.
    """
    section = config.sample
    if section is False:
        return {}
    model = GaussianMixture.from_candidate(fitted.candidate, fitted.grid)
    inner, labels = model.sample(section.rows)
    rows = fitted.transform.invert(inner)
    folder = Path(section.path)
    make_folders(LOCAL, folder)
    note = f"{section.rows:,} new rows"
    written = {
        "sample": _entry(folder / ROWS, _as_csv(fitted.transform.before, rows, labels), note)
    }
    decoder = decoder_of(config)
    if decoder is not None:
        note = f"the same, by {section.decode}"
        written["decoded"] = _entry(
            folder / DECODED, _as_npy(_decoded(decoder, config, rows)), note
        )
    return written


def _decoded(decoder: Decoder, config: Config, rows: FloatArray) -> np.ndarray[Any, Any]:
    assert config.sample
    name = config.sample.decode
    try:
        found = np.asarray(decoder(rows.copy()))
    except Exception as error:  # whatever a user's function raises
        raise ConfigError(
            f"sample.decode: {name} failed on {rows.shape} rows: {type(error).__name__}: {error}"
        ) from error
    if found.shape[:1] != rows.shape[:1] or found.dtype.kind not in "fiub":
        raise ConfigError(
            f"sample.decode: {name} gave an array of shape {found.shape} and type {found.dtype}; "
            f"numbers of shape ({len(rows)}, ...) are needed"
        )
    return found


def _as_csv(names: tuple[str, ...], rows: FloatArray, labels: FloatArray) -> bytes:
    columns = {"label": labels} | {name: rows[:, j] for j, name in enumerate(names)}
    out = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(columns), out)
    return out.getvalue()


def _as_npy(array: np.ndarray[Any, Any]) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _entry(path: Path, data: bytes, note: str) -> dict[str, Any]:
    write_atomic(LOCAL, path, data)
    return {"path": str(path.resolve()), "sha256": sha256_of(path), "note": note}
