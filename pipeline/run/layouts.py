"""What a row holds beside its values, before and after the transform, and errors in its terms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from gmm_dask import DataError, GmmDaskError, RowLayout
from pipeline.config import Config
from pipeline.sources import NoiseSpec, Table

FORMS = ("std", "variance", "inverse_variance", "covariance")

_ROW = re.compile(r"(?:^|(?<=first: ))row (\d+)")


def noise_of(config: Config) -> NoiseSpec | None:
    """Return where the errors of values stand, if rows have some."""
    section = config.source.noise
    if section is None:
        return None
    form = next(name for name in FORMS if getattr(section, name) is not None)
    return NoiseSpec(form, getattr(section, form), section.correlation, tuple(section.exact))


def layout_of(config: Config, table: Table) -> RowLayout:
    """Return how rows of the source are to be taken."""
    model = config.model
    missing = model.missing == "marginalize"
    return table.layout._replace(missing=missing, compute_dtype=model.compute_dtype)


def layout_after(config: Config, layout: RowLayout) -> RowLayout:
    """Return how rows are to be taken after the steps of the configuration."""
    for step in config.transform:
        if step.n_components:
            noise = "full" if layout.noise else ""
            layout = layout._replace(n_columns=step.n_components, noise=noise)
    return layout


@contextmanager
def in_source_terms(table: Table) -> Iterator[None]:
    """Say in which row of the input a row stands that cannot be used, and what to do.

    Parameters
    ----------
    table : Table
        Ready to be read.

    Raises
    ------
    DataError
        With the row in words of the source.
    """
    try:
        yield
    except DataError as error:
        if type(error) is not DataError:
            raise
        text = _ROW.sub(lambda found: _named(table, int(found[1])), str(error))
        text = text.replace('missing="marginalize"', "model.missing: marginalize")
        if text == str(error):
            raise
        raise DataError(text) from None


def _named(table: Table, row: int) -> str:
    """Return a row's number in the input, with its identity where it has one."""
    if not 0 <= row < table.n_rows:
        return f"row {row}"
    try:
        origin = int(table.origin_rows(row, row + 1)[0])
        identity = table.identity(row, row + 1)
    except GmmDaskError:  # the rows cannot be read any more: then its own number must do
        return f"row {row}"
    known = [
        f"{name} {identity.column(name)[0].as_py()}"
        for name in table.described.get("id") or ()
        if name in identity.column_names
    ]
    return table.where(origin) + (f" ({', '.join(known)})" if known else "")
