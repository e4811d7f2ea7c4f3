"""What the plan and the manifest say of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pipeline.sources.files import File, is_url, redacted
from pipeline.sources.spec import SourceSpec


def shown_path(spec: SourceSpec) -> str:
    """Return the path as given, without credentials; several joined by commas."""
    paths = [redacted(path) if is_url(path) else path for path in spec.paths]
    return ", ".join(paths[:3]) + (", ..." if len(paths) > 3 else "")


def holder(spec: SourceSpec, files: Sequence[File]) -> str:
    """Return the short name that messages use: the file's own name, or the path as given."""
    return Path(redacted(files[0].url)).name if len(files) == 1 else shown_path(spec)


def place(path: str, parts: Sequence[tuple[str, int]], row: int) -> str:
    """Return where a row of the input stands: its file, and its number there.

    Parameters
    ----------
    path : str
        The input, where files have no rows of their own.
    parts : sequence of (file, rows)
        Where there are several files; may be empty.
    row : int
        Number in the whole input.
    """
    start = 0
    for name, rows in parts:
        if row < start + rows:
            return f"row {row - start} of {name}"
        start += rows
    return f"row {row} of {path}"


def facts(
    spec: SourceSpec,
    kind: str,
    files: Sequence[File],
    n_origin: int | None,
    notes: Sequence[str] = (),
    units: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the facts that hold before and after an ingest.

    Parameters
    ----------
    spec : SourceSpec
    kind : str
        Name of the format.
    files : sequence of File
    n_origin : int or None
        Rows of the input, where known.
    notes : sequence of str
        Sentences for the plan.
    units : mapping, optional
        Units found in the files; those of the configuration win.
    """
    return {
        "format": kind,
        "path": shown_path(spec),
        "key": spec.key,
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "rows_in_input": n_origin,
        "filter": spec.filter,
        "limit": spec.limit,
        "id": list(spec.id),
        "carry": list(spec.carry),
        "missing_values": list(spec.missing_values),
        "units": {**(units or {}), **spec.units},
        "notes": list(notes),
    }


def units_of(schema: pa.Schema) -> dict[str, str]:
    """Return the units that a parquet file states, by column.

    Read are the field metadata ``unit``, and what astropy writes for a table.
    """
    found = _astropy_units((schema.metadata or {}).get(b"table_meta_yaml", b""))
    for field in schema:
        unit = (field.metadata or {}).get(b"unit")
        if unit:
            found[field.name] = unit.decode("utf-8", "replace")
    return {name: unit for name, unit in found.items() if name in schema.names}


def _astropy_units(text: bytes) -> dict[str, str]:
    try:
        # the base loader knows text, lists and maps only: tags are ignored, nothing is built
        meta = yaml.load(text, yaml.BaseLoader)  # noqa: S506
    except yaml.YAMLError:
        return {}
    columns = meta.get("datatype", []) if isinstance(meta, dict) else []
    pairs = [(c.get("name"), c.get("unit")) for c in columns if isinstance(c, dict)]
    return {name: unit for name, unit in pairs if isinstance(name, str) and isinstance(unit, str)}
