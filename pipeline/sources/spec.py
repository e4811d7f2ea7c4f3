"""What a source is asked for: the `source:` section as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.sources.trouble import ConfigError


@dataclass(frozen=True)
class NoiseSpec:
    """Where the error of each value stands, in the words of ``source.noise``.

    Parameters
    ----------
    form : str
        ``std``, ``variance``, ``inverse_variance`` (0 means missing) or ``covariance``.
    columns : str or mapping
        A template such as ``{column}_error`` (of covariances ``cov_{a}_{b}``), the array of a
        store, or the error column of each value column; None there means exact.
    correlation : str, optional
        Template such as ``{a}_{b}_corr``; both orders are tried.
    exact : tuple of str
        Value columns without an error.
    """

    form: str
    columns: str | Mapping[str, str | None]
    correlation: str | None = None
    exact: tuple[str, ...] = ()

    @property
    def array(self) -> str | None:
        """The array of a store that holds the errors, where there is one."""
        named = isinstance(self.columns, str) and "{" not in self.columns
        return str(self.columns).strip("/") if named else None


@dataclass(frozen=True)
class SourceSpec:
    """The rows that are wanted, in the words of the YAML section ``source``.

    Lists may be given where tuples are stored, and one string where several names are allowed.

    Parameters
    ----------
    path : str or sequence of str
        File, folder, glob, list of these, fsspec URL, or ``builtin:digits``.
    format : str
        A name of `pipeline.sources.FORMATS`, or ``auto``.
    key : str, optional
        Array inside an h5ad or zarr store, such as ``obsm/X_pca``.
    columns : sequence of str, optional
        Columns that become values; default all numeric ones except identifiers.
    units : mapping of column to unit
    filter : str, optional
        Rows to keep, in the language of `pipeline.sources.filters`.
    id, carry : sequence of str
        Columns that name a row; further columns copied beside them.
    sample_weight : str, optional
        Column of row weights.
    noise : NoiseSpec, optional
    missing_values : sequence of float or str
        Sentinels that mean missing, besides NaN and null. Words count in CSV only.
    limit : int, optional
        Only the first rows, counted after the filter.
    storage_options : mapping
        For fsspec. A value ``env:NAME`` is replaced when the store is opened, and never shown.

    Raises
    ------
    ConfigError
        If a name is given twice, or a list is empty.
    """

    path: str | tuple[str, ...]
    format: str = "auto"
    key: str | None = None
    columns: tuple[str, ...] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    filter: str | None = None
    id: tuple[str, ...] = ()
    carry: tuple[str, ...] = ()
    sample_weight: str | None = None
    missing_values: tuple[float | str, ...] = ()
    noise: NoiseSpec | None = None
    limit: int | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("path", "columns", "id", "carry", "missing_values"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"source.limit: {self.limit} came; at least 1 row is needed")
        if self.columns is not None and not self.columns:
            raise ConfigError("source.columns: an empty list came; name at least one column")
        self._check_repeats()

    def _check_repeats(self) -> None:
        for name in ("columns", "id", "carry"):
            names = getattr(self, name) or ()
            twice = sorted({column for column in names if names.count(column) > 1})
            if twice:
                raise ConfigError(f"source.{name}: {', '.join(twice)} named more than once")
        if "row" in self.carry and not self.id:
            raise ConfigError(
                "source.carry: row is the name of the row number in the assignments; "
                "name the column in source.id instead"
            )

    @property
    def paths(self) -> tuple[str, ...]:
        """The path or paths as given."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns of the row identity: `id` first, then `carry`, each once."""
        return tuple(dict.fromkeys((*self.id, *self.carry)))

    @property
    def sentinels(self) -> tuple[float, ...]:
        """The numbers among `missing_values`."""
        return tuple(float(v) for v in self.missing_values if not isinstance(v, str))

    @property
    def missing_words(self) -> tuple[str, ...]:
        """The words among `missing_values`."""
        return tuple(v for v in self.missing_values if isinstance(v, str))


def _names(name: str, value: str | Iterable[Any] | None) -> Any:
    if value is None:
        return None if name == "columns" else ()
    if isinstance(value, str):
        return value if name == "path" else (value,)
    if isinstance(value, float | int):
        return (value,)
    return tuple(value)
