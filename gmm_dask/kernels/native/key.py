"""What a module of machine code is made for."""

from __future__ import annotations

from typing import NamedTuple

from gmm_dask.kernels.native.real import REALS, Real

TASKS = ("e_step", "log_prob", "resp", "assign", "moments")
FORMS = ("full", "diag", "spherical", "tied")


class Key(NamedTuple):
    """What one module of machine code is made for. Travels between processes."""

    task: str
    """e_step: statistics; log_prob, resp, assign: values per row; moments: from given shares."""
    form: str
    """Of the covariances. Tied: rows are whitened first, then every component is round."""
    n_columns: int
    kind: str
    """"double" or "float": the rows that are read."""
    hard: bool
    """Give each row to its likeliest component alone."""
    registers: int
    """How many vectors may be live at once."""
    tile: int
    """Rows of a tile, a multiple of 64."""
    lists: bool
    """Sum over lists of the rows with a share in a component, instead of all rows."""
    projected: int
    """Columns of the projection that bounds densities first; 0: no bounds."""
    metric: bool = False
    """Compare rows and means by the length of their projected difference, not by densities."""
    compute: str = "double"
    """"double" or "float": the numbers of tiles, densities and shares. Sums are float64."""
    weighted: bool = False
    """Multiply each row's shares by a weight of its own (e_step alone)."""
    near: bool = False
    """Rows come in runs that share a home, and components in slots (e_step alone; see `near`)."""

    @property
    def real(self) -> Real:
        """The numbers of tiles, densities and shares."""
        return REALS[self.compute]

    @property
    def padded(self) -> int:
        """Columns up to a whole number of vectors."""
        lanes = self.real.lanes
        return -(-self.n_columns // lanes) * lanes

    @property
    def in_place(self) -> bool:
        """Whether shares replace the log joint densities; spherical sums need both."""
        return self.form != "spherical"
