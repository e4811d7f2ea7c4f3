"""The selection table: which generated code computes which model, and why.

All rows take complete float32 or float64 rows without noise or weights, soft or hard. Times are
CPU nanoseconds per row and component of an E-step with statistics on one core of a server with
512-bit vectors (`scripts/benchmark_kernels.py` measures them again), for components far apart
(means 3 standard deviations from the origin in each column) and overlapping (0.3):

=========  ==========  ==============  ==============  =====================================
form       D, K        unrolled        lists           why
=========  ==========  ==============  ==============  =====================================
full       8, 20       4.9  / 5.3      6.6  / 11       bounds pay from D = 8 on, where
full       10, 20      6.7  / 7.5      8.3  / 16       components lie 6 deviations apart;
full       16, 50      14.5 / 15.6     6.9  / 23       otherwise lists win above D = 22,
full       32, 50      (code too long) 7.1  / 57       where registers no longer hold a row
diag       10, 20      3.2  / 3.4      3.2  / 4.5
diag       16, 20      5.8  / 5.0      4.3  / 5.7
spherical  10, 20      3.3  / 3.2      3.9  / 4.0
spherical  16, 20      4.8  / 4.5      4.0  / 5.2
tied       10, 20      5.5  / 4.6      3.5  / 4.8
tied       16, 20      8.1  / 8.1      4.6  / 7.4
=========  ==========  ==============  ==============  =====================================

Measured on a machine with other work; ratios between columns are what counts.
"""

from __future__ import annotations

from typing import NamedTuple

MANY = 10**9


class Row(NamedTuple):
    """One row of the table."""

    name: str
    """unrolled: straight code over all columns, sums over all rows of a tile; lists: loops over
    columns, sums over the rows that have a share; bounded: lists, after a projection has dismissed
    most components of most rows."""
    forms: tuple[str, ...]
    least_columns: int
    most_columns: int
    tile: int
    """Rows at a time, so that a tile stays in the cache."""


ROWS = (
    Row("bounded", ("full",), 8, MANY, 256),
    Row("unrolled", ("full",), 1, 22, 128),
    Row("lists", ("full",), 23, MANY, 256),
    Row("unrolled", ("diag", "spherical"), 1, 15, 128),
    Row("lists", ("diag", "spherical"), 16, MANY, 64),
    Row("unrolled", ("tied",), 1, 9, 128),
    Row("lists", ("tied",), 10, MANY, 64),
)


class Method(NamedTuple):
    """The generated code that computes a model."""

    row: str
    """Name in the table."""
    form: str
    """The covariance type, or "full" for a tied model whose components lie too far apart for sums
    about a common origin."""
    tile: int
    projected: int = 0
    """Directions along which densities are bounded, or compared by `metric`."""
    metric: bool = False

    @property
    def lists(self) -> bool:
        """Whether sums run over lists of rows."""
        return self.row != "unrolled"


def choose(form: str, n_columns: int, projected: int) -> Method:
    """Return the method of the first row of the table that fits.

    Parameters
    ----------
    projected : int
        Directions along which bounds dismiss enough; 0 if none do.
    """
    for row in ROWS:
        fits = form in row.forms and row.least_columns <= n_columns <= row.most_columns
        if fits and (projected or row.name != "bounded"):
            return Method(row.name, form, row.tile, projected if row.name == "bounded" else 0)
    raise AssertionError(f"the table has no row for {form}, {n_columns} columns")
