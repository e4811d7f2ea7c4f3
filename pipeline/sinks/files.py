"""Single files of a run, each written in one step: JSON and the table of candidates."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.sinks.disk import LOCAL, Disk, explain, make_folders, write_atomic

ADVICE = "Check that the folder can be written and has space, then run again"


def write_json_atomic(path: str | Path, obj: Any, disk: Disk = LOCAL) -> None:
    """Write a value as JSON, in one step: readers see the old file or the new one.

    Parameters
    ----------
    path : str or Path
    obj : any
        See `plain`.
    disk : Disk, optional

    Raises
    ------
    TypeError
        If something has no form in JSON.
    ResourceError
        If the file cannot be written.
    """
    text = json.dumps(plain(obj), indent=2, allow_nan=False, ensure_ascii=False)
    _write(Path(path), f"{text}\n".encode(), disk)


def write_candidates_csv(
    rows: Sequence[Mapping[str, Any]], path: str | Path, disk: Disk = LOCAL
) -> None:
    """Write one line per candidate, in one step.

    Columns are those of all rows, in the order in which they first appear. Floats have as many
    digits as they need to be read back exactly; None, NaN and keys a row lacks are empty.

    Parameters
    ----------
    rows : sequence of mapping
    path : str or Path
    disk : Disk, optional

    Raises
    ------
    ResourceError
        If the file cannot be written.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    _write(Path(path), stream.getvalue().encode(), disk)


def plain(obj: Any) -> Any:
    """Return a value in JSON's types.

    NumPy scalars and arrays, tuples, paths and dataclasses are taken apart. What is not finite
    becomes null: JSON has no word for it, and most readers refuse NaN.

    Raises
    ------
    TypeError
        If something has no form in JSON.
    """
    if isinstance(obj, np.generic | np.ndarray):
        return plain(obj.tolist())
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    if obj is None or isinstance(obj, bool | int | str):
        return obj
    if isinstance(obj, Path):
        return str(obj)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {f.name: plain(getattr(obj, f.name)) for f in dataclasses.fields(obj)}
    if isinstance(obj, Mapping):
        return {str(key): plain(value) for key, value in obj.items()}
    if isinstance(obj, Sequence) and not isinstance(obj, bytes | bytearray):
        return [plain(item) for item in obj]
    raise TypeError(f"{type(obj).__name__} has no form in JSON: {obj!r:.80}")


def _cell(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else value


def _write(path: Path, data: bytes, disk: Disk) -> None:
    try:
        make_folders(disk, path.parent)
        write_atomic(disk, path, data)
        disk.sync_folder(path.parent)
    except OSError as error:
        raise explain(error, f"{path} cannot be written", ADVICE) from error
