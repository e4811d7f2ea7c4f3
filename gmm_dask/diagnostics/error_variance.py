"""The error of a measurement, from replicates."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gmm_dask.errors import ConfigError, DataError


class ErrorVariance(NamedTuple):
    """The variance of one measurement, from replicates."""

    variance: float
    """Of the analysed value, source units squared."""
    degrees_of_freedom: float


def error_variance(replicates: Any, averaged: int = 1) -> ErrorVariance:
    """Return the error of one value from replicate measurements.

    Parameters
    ----------
    replicates : (n, m) array, NaN where one is lacking; or a sequence of 1-D arrays
        Repeated measurements, one row for each object.
    averaged : int
        Measurements whose mean is the analysed value.

    Raises
    ------
    DataError
        No object was measured twice, or all replicates are the same.
    ConfigError
        `averaged` is no positive integer.
    """
    if isinstance(averaged, bool) or not isinstance(averaged, int) or averaged < 1:
        raise ConfigError(f"averaged is {averaged!r}; a number of measurements, 1 or more")
    squares, freedom = 0.0, 0
    for group in replicates:
        values = np.atleast_1d(np.asarray(group, dtype=np.float64))
        values = values[~np.isnan(values)]
        if not np.isfinite(values).all():
            raise DataError(
                "replicates hold infinity; numbers are needed, NaN where one is lacking"
            )
        if len(values) > 1:
            squares += float(((values - values.mean()) ** 2).sum())
            freedom += len(values) - 1
    if freedom == 0 or not squares > 0:
        raise DataError(
            f"replicates have {freedom} degrees of freedom and a sum of squares of {squares:g}; "
            "objects that were measured twice or more, with different results, are needed"
        )
    return ErrorVariance(squares / freedom / averaged, float(freedom))
