"""What the rest of the package asks of a kind of components."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from gmm_dask.blocks import FloatArray, Frame, IntArray
from gmm_dask.families.floors import Floor
from gmm_dask.families.gaussian import GaussianParams
from gmm_dask.families.prior import CovariancePrior
from gmm_dask.families.product import ProductParams
from gmm_dask.kernels.types import GaussianPrepared

Params = GaussianParams | ProductParams


class Family(Protocol):
    """All K components of a mixture at once.

    Parameters of every family have ``means`` (K, D) in the frame, and ``covariances`` of the
    columns that are not angles.
    """

    @property
    def covariance_type(self) -> str:
        """Of the columns that are not angles."""
        ...

    @property
    def floor(self) -> Floor:
        """Of the same columns."""
        ...

    @property
    def prior(self) -> CovariancePrior | None:
        """Of the same columns."""
        ...

    @property
    def compound(self) -> bool:
        """Whether components are more than Gaussians, so that `measuring` must choose who measures.

        Only plain Gaussians can be split, merged and extrapolated.
        """
        ...

    @property
    def n_extra(self) -> int:
        """Components behind the others that have weights and no parameters: a background."""
        ...

    @property
    def kept(self) -> tuple[int, ...]:
        """Components that keep their place when others are put in order."""
        ...

    def restored(self, params: Any, origin: Any) -> Any:
        """Return parameters with what is held as it is in others."""
        ...

    def prepare(self, params: Any, frame: Frame) -> GaussianPrepared:
        """Return constants of one pass."""
        ...

    def factors(self, params: Any) -> tuple[FloatArray, FloatArray]:
        """Return inverse Cholesky factors, and their log determinants."""
        ...

    def dense(self, params: Any) -> FloatArray:
        """Return every component's covariance as a matrix, (K, D, D)."""
        ...

    def validate(self, params: Any) -> None:
        """Raise DataError, naming the component, if parameters have no density."""
        ...

    def clipped(self, params: Any) -> Any:
        """Return parameters raised to the floor."""
        ...

    def maximize(self, params: Any, count: FloatArray, moments: Any) -> Any:
        """Return the M-step from moments about the asking parameters."""
        ...

    def log_prior(self, params: Any) -> float:
        """Return the log prior density, 0 where there is none."""
        ...

    def n_free(self, n_components: int, n_columns: int) -> int:
        """Return the number of free parameters, without weights."""
        ...

    def sample(self, params: Any, labels: IntArray, rng: np.random.Generator) -> FloatArray:
        """Return one draw (n, D), in the frame, for each label (n,)."""
        ...

    def check(self, params: Any) -> tuple[str, ...]:
        """Return a sentence for every component that lies on the floor."""
        ...

    def reorder(self, params: Any, order: IntArray) -> Any:
        """Return the components in another order."""
        ...

    def zero_moments(self, n_components: int, n_columns: int) -> Any:
        """Return the moments of no rows."""
        ...
