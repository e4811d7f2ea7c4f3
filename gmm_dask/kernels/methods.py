"""The selection table: which generated code computes which model, and why.

All rows take complete float32 or float64 rows without noise or weights, soft or hard. The
cross-overs were measured: CPU nanoseconds per row and component of an E-step with statistics, on
one core of a server with 512-bit vectors, for means drawn 6, 3 and 0.3 standard deviations from the
origin in each column (``scripts/benchmark_kernels.py`` measures such figures again):

=========  =====  ==================  ==================
form       D, K   unrolled            lists, bounded (b)
=========  =====  ==================  ==================
full       3, 10   1.7   1.7   1.7     4.8   5.8   6.0
full       8, 20   4.3   4.4   4.3    b3.3   5.9   8.2
full      10, 20   6.2   6.4   6.3    b3.7   7.8  12.4
full      16, 50  13.6  13.4  13.6    b3.9  b6.0  18.7
full      24, 50  30.5  30.9  30.8    b4.9  b8.3  35.0
full      32, 50  (too long a code)   b5.5  b8.7  55.3
diag      10, 20   2.6   2.7   2.7     2.2   2.6   3.6
diag      16, 20   4.0   4.1   4.1     3.7   3.9   4.3
diag      20, 20   5.2   4.9   5.0     3.6   3.5   5.5
spherical 10, 20   2.6   2.4   2.4     2.4   2.7   3.4
spherical 16, 20   3.5   3.5   3.5     2.8   3.0   3.9
tied      10, 20   3.1   3.1   3.1     2.7   2.8   3.8
tied      16, 20   4.7   4.8   4.6     3.5   3.5   4.8
=========  =====  ==================  ==================

Tiles of float32 hold twice the rows in the same bytes, with the same cross-overs. Times of float64
over those of float32, the same means, medians of 9 interleaved rounds:

=========  =====  ==================
form       D, K   float64 / float32
=========  =====  ==================
full       3, 10   1.6   1.7   1.7
full      10, 20  b1.5   1.6   1.6
full      24, 50  b1.5  b1.5   1.7
full      32, 50  b1.5  b1.6   1.7
full      50,100  b1.4  b1.5   1.6
diag      10, 20   1.5   1.4   1.7
diag      32, 50   1.8   1.7   1.7
spherical 10, 20   1.6   1.5   1.6
tied      10, 20   (1)   1.5   1.5
=========  =====  ==================

(1) Computed in float64: see `single.kept_double`.

Soft E-steps of 160 components and more (full, float64, no weights) meet rows in runs of one home
where few enough components are expected to matter (see `near`): nanoseconds per row, 10^5 rows,
and times the pass at K = 100, which goes by whole tiles; means drawn 6, 4 and 3 standard deviations
from the origin in each column (``scripts/benchmark_many.py --rounds 3``, a busy machine):

========  ======  =====  ==========  ==========  ==========
D         spread  100    200         500         1000
========  ======  =====  ==========  ==========  ==========
10        6        364    583 (1.6)   843 (2.3)  1168 (3.2)
10        4        596    937 (1.6)  1664 (2.8)  3217 (5.4)
32        6        639   1097 (1.7)  1199 (1.9)  1309 (2.0)
32        3        882   1192 (1.4)  2285 (2.6)  3626 (4.1)
========  ======  =====  ==========  ==========  ==========

What is skipped is at most `near.skipped_bound`: 9.4e-11 nats of a row's log density at K = 1000.
Log-likelihoods differed from those of whole tiles by less than 1e-14 per row.
"""

from __future__ import annotations

from typing import NamedTuple

from gmm_dask.kernels.native.real import DOUBLE, REALS

MANY = 10**9
FEWEST = 160
"""Components from which runs of rows pay."""


class Row(NamedTuple):
    """One row of the table."""

    name: str
    """near: runs of rows that share a home, see `near`; unrolled: straight code over all columns,
    sums over all rows of a tile; lists: loops over columns, sums over the rows that have a share;
    bounded: lists, after a projection has dismissed most components of most rows."""
    forms: tuple[str, ...]
    least_columns: int
    most_columns: int
    tile: int
    """Rows at a time, so that a tile stays in the cache; float32 tiles have twice as many."""
    least_components: int = 0
    most_components: int = MANY


ROWS = (
    Row("near", ("full",), 4, MANY, 64, FEWEST, 3000),
    Row("bounded", ("full",), 8, MANY, 256),
    Row("unrolled", ("full",), 1, 24, 128),
    Row("lists", ("full",), 25, MANY, 256),
    Row("unrolled", ("diag", "spherical"), 1, 15, 128),
    Row("lists", ("diag", "spherical"), 16, MANY, 64),
    Row("unrolled", ("tied",), 1, 12, 128),
    Row("lists", ("tied",), 13, MANY, 64),
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
    compute: str = "double"
    """"double" or "float": the numbers of tiles."""

    @property
    def lists(self) -> bool:
        """Whether sums run over lists of rows."""
        return self.row != "unrolled"


def choose(
    form: str, n_columns: int, projected: int, compute: str = "double", n_components: int = 1
) -> Method:
    """Return the method of the first row of the table that fits.

    Parameters
    ----------
    projected : int
        Directions along which bounds dismiss enough; 0 if none do.
    compute : str
        "double" or "float".
    n_components : int
        1 where rows are met in the order in which they come: all but soft E-steps without weights.
    """
    for row in ROWS:
        fits = form in row.forms and row.least_columns <= n_columns <= row.most_columns
        fits = fits and row.least_components <= n_components <= row.most_components
        if fits and (projected or row.name != "bounded"):
            along = projected if row.name == "bounded" else 0
            tile = row.tile * DOUBLE.bits // REALS[compute].bits
            return Method(row.name, form, tile, along, compute=compute)
    raise AssertionError(f"the table has no row for {form}, {n_columns} columns")
