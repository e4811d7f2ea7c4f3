"""The model of an earlier run, with whose parameters the fits of this one begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask import ConfigError, start_values
from pipeline.config import Config
from pipeline.run.stored import StoredModel, stored_model
from pipeline.stages.transform import Transform


def begun_with(config: Config, transform: Transform) -> dict[str, npt.NDArray[np.float64]] | None:
    """Return the parameters with which fits begin, in the units that the mixture sees.

    Parameters
    ----------
    config : Config
    transform : Transform
        Of this run, fitted.

    Raises
    ------
    ConfigError
        The earlier model is of other columns, another transform, or another covariance type.
    """
    earlier = earlier_model(config)
    if earlier is None:
        return None
    if transform.before != earlier.columns:
        raise ConfigError(
            f"model.start_from: {config.model.start_from} is of the columns "
            f"{', '.join(earlier.columns)}, this run of {', '.join(transform.before)}; the same, "
            "in the same order, are needed"
        )
    if _plain(transform.as_dict()) != _plain(earlier.transform.as_dict()):
        raise ConfigError(
            f"model.start_from: {config.model.start_from} was fitted after another transform "
            f"({_steps(earlier.transform)}) than this run has ({_steps(transform)}): its means are "
            "in other units. Steps that are learnt from the rows, as standardize and pca, agree "
            "on the same rows only; leave them out, or fit the earlier run again on these rows"
        )
    mixture = earlier.model.mixture_
    return start_values(mixture, config.model.covariance_type, len(transform.after))


def earlier_model(config: Config) -> StoredModel | None:
    """Return the model that ``model.start_from`` names, after checking its columns.

    Raises
    ------
    ConfigError
        There is none, or it is of other columns.
    FormatError
        It is damaged.
    """
    name = config.model.start_from
    if name is None:
        return None
    path = Path(name)
    if not path.is_dir():
        raise ConfigError(
            f"model.start_from: {name} is no folder; name the model.zarr of an earlier run"
        )
    return stored_model(path)


def _plain(value: Any) -> Any:
    """Return arrays as lists, so that equality means the same numbers."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _steps(transform: Transform) -> str:
    return "; ".join(transform.describe()) or "none"
