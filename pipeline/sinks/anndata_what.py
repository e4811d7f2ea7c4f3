"""What is written into an AnnData file, and what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gmm_dask import ConfigError
from pipeline.sinks.anndata_rows import Wanted

PROBABILITY = "_probability"


@dataclass(frozen=True)
class WriteBack:
    """What is written into an AnnData file.

    Parameters
    ----------
    n_components : int
        K.
    obs : str, optional
        Adds ``obs[obs]``, a categorical "0", "1", ... (0 the largest; missing for cells that were
        filtered out), and ``obs[obs + "_probability"]`` (float64, NaN for these).
    obsm : str, optional
        Adds ``obsm[obsm]``, the responsibilities (n_obs, K) float32.
    parameters : mapping
        Goes to ``uns[obs or obsm]``: arrays, texts, numbers and mappings of these.

    Raises
    ------
    ConfigError
        If neither name is given, or one cannot be a key.
    """

    n_components: int
    obs: str | None
    obsm: str | None
    parameters: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.obs is None and self.obsm is None:
            raise ConfigError("output.write_back: needs a name, as in write_back: {obs: gmm}")
        for key, name in (("obs", self.obs), ("obsm", self.obsm)):
            if name is not None and (not name or "/" in name or name[0] in "._"):
                raise ConfigError(
                    f"output.write_back.{key}: {name!r} cannot be a key of AnnData; use letters, "
                    "digits and _, beginning with a letter"
                )

    @property
    def name(self) -> str:
        """Key in ``uns``."""
        return self.obs or self.obsm or ""

    @property
    def wanted(self) -> Wanted:
        """What the assignments must hold."""
        return Wanted(self.n_components, self.obs is not None, self.obsm is not None)

    @property
    def obs_columns(self) -> tuple[str, ...]:
        """The columns that ``obs`` gets."""
        return () if self.obs is None else (self.obs, f"{self.obs}{PROBABILITY}")

    @property
    def keys(self) -> tuple[str, ...]:
        """All that the file gets."""
        obsm = () if self.obsm is None else (f"obsm/{self.obsm}",)
        return (*(f"obs/{name}" for name in self.obs_columns), *obsm, f"uns/{self.name}")


@dataclass(frozen=True)
class WrittenBack:
    """What was written.

    Parameters
    ----------
    path : str
        The changed file, or the copy.
    keys : tuple of str
        Such as ``obs/gmm``.
    n_obs : int
        Cells of the file.
    """

    path: str
    keys: tuple[str, ...]
    n_obs: int


def needed_outputs(obs: str | None, obsm: str | None) -> tuple[str, ...]:
    """Return the words of ``output.columns`` that a write-back takes from the assignments."""
    label = ("label", "probability") if obs is not None else ()
    return label + (("responsibilities",) if obsm is not None else ())
