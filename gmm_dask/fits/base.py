"""What a fit is: it asks for a fold and is told the answer, until it has an outcome."""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol, Self

from gmm_dask.stats import Fold


class Outcome(Enum):
    """How a fit ended; the text is the help."""

    CONVERGED = "the last gain, the estimated remaining gain and the score norm are below tol"
    MAX_ITER = (
        "max_iter was reached first: (a) raise max_iter, or resume with a larger one, (b) raise "
        "tol, (c) components overlap: fewer of them converge faster"
    )
    DEGENERATE = (
        "a covariance became singular: (a) leave reg_covar at None or raise it, (b) use fewer "
        "components, (c) remove columns that are copies or sums of others"
    )
    DROPPED = "another restart was better"


class Fit(Protocol):
    """One restart at one K: a frozen value."""

    @property
    def outcome(self) -> Outcome | None:
        """None while running."""
        ...

    def ask(self) -> Fold[Any, Any, Any]:
        """Return the fold whose answer is needed next."""
        ...

    def tell(self, answer: Any) -> Self:
        """Return the fit after the answer."""
        ...
