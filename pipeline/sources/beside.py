"""Which columns hold the weight of a row and the errors of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import pyarrow as pa

from pipeline.sources import numeric
from pipeline.sources.spec import NoiseSpec, SourceSpec
from pipeline.sources.trouble import ConfigError, DataError, has_no, listed, nearest
from pipeline.sources.wide import Wide


def wide_of(
    spec: SourceSpec, holder: str, columns: tuple[str, ...], types: Mapping[str, pa.DataType]
) -> Wide:
    """Return how rows are made of the columns of a table.

    Parameters
    ----------
    spec : SourceSpec
    holder : str
        The file or folder, for messages.
    columns : tuple of D str
        The values.
    types : mapping of column to arrow type

    Raises
    ------
    ConfigError
        A template without a place to fill in, or an exact column that is not fitted.
    DataError
        A column is not there, or does not hold numbers.
    """
    weight = spec.sample_weight
    if weight is not None and weight not in types:
        raise has_no("source.sample_weight", holder, weight, list(types))
    wide = Wide(columns, weight)
    if spec.noise is not None:
        wide = _with_noise(wide, spec.noise, holder, types)
    for name in wide.read[len(columns) :]:
        if not numeric.is_numeric(types[name]):
            setting = "source.sample_weight" if name == weight else "source.noise"
            raise DataError(f"{setting}: {holder}: {name} holds no numbers ({types[name]})")
    return wide


def reserved(spec: SourceSpec, known: Sequence[str]) -> set[str]:
    """Return columns that are a weight or errors of others, and so no values by default."""
    found = {spec.sample_weight} if spec.sample_weight is not None else set()
    noise = spec.noise
    if noise is None:
        return found & set(known)
    if not isinstance(noise.columns, str):
        found |= {name for name in noise.columns.values() if name is not None}
    elif "{column}" in noise.columns:
        found |= {_filled(noise.columns, column=name) for name in known}
    pairs = noise.columns if noise.form == "covariance" else noise.correlation
    if isinstance(pairs, str) and "{a}" in pairs:
        found |= {_filled(pairs, a=a, b=b) for a, b in product(known, repeat=2)}
    return found & set(known)


def array_columns(noise: NoiseSpec, columns: Sequence[str]) -> NoiseSpec:
    """Return the noise of an array, whose columns are named by `array_names`, as a map."""
    names = array_names(noise, columns)
    each = len(columns)
    if noise.form != "covariance":
        named: dict[str, str | None] = dict(zip(columns, names, strict=True))
        return NoiseSpec(noise.form, named | dict.fromkeys(noise.exact), noise.correlation)
    pairs = product(range(each), repeat=2)
    cells = {f"{columns[i]}\n{columns[j]}": n for (i, j), n in zip(pairs, names, strict=True)}
    return NoiseSpec("covariance", cells, None, noise.exact)


def array_names(noise: NoiseSpec, columns: Sequence[str]) -> tuple[str, ...]:
    """Return names for the columns of the array that holds the errors of `columns`."""
    width = len(columns) ** 2 if noise.form == "covariance" else len(columns)
    return tuple(f"{noise.array}-{j}" for j in range(width))


def _with_noise(
    wide: Wide, noise: NoiseSpec, holder: str, types: Mapping[str, pa.DataType]
) -> Wide:
    for name in noise.exact:
        if name not in wide.columns:
            raise ConfigError(
                f"source.noise.exact: {name} is not among the columns ({listed(wide.columns)})."
                + nearest(name, wide.columns)
            )
    if noise.form == "covariance":
        error, pairs = _covariances(wide, noise, holder, types)
    else:
        error = tuple(_error(column, noise, holder, types) for column in wide.columns)
        pairs = _correlations(wide, error, noise, holder, types)
    return Wide(wide.columns, wide.sample_weight, noise.form, error, pairs)


def _error(
    column: str, noise: NoiseSpec, holder: str, types: Mapping[str, pa.DataType]
) -> str | None:
    """Return the column of a value's error; None where it is exact."""
    if column in noise.exact:
        return None
    setting = f"source.noise.{noise.form}"
    if not isinstance(noise.columns, str):
        if column not in noise.columns:
            raise ConfigError(
                f"{setting}: {column} has no entry; name the column of its error, or {column} in "
                "source.noise.exact if it has none"
            )
        name = noise.columns[column]
    else:
        _check_places(setting, noise.columns, ("column",))
        name = _filled(noise.columns, column=column)
    if name is not None and name not in types:
        raise DataError(
            f"{has_no(setting, holder, name, list(types))} If {column} has no error, name it in "
            "source.noise.exact"
        )
    return name


def _correlations(
    wide: Wide,
    error: Sequence[str | None],
    noise: NoiseSpec,
    holder: str,
    types: Mapping[str, pa.DataType],
) -> tuple[tuple[int, int, str], ...]:
    """Return the correlations that are there; where a column is missing it is 0."""
    if noise.correlation is None:
        return ()
    _check_places("source.noise.correlation", noise.correlation, ("a", "b"))
    noisy = [i for i, name in enumerate(error) if name is not None]
    pairs = []
    for i, j in combinations(noisy, 2):
        name = _either(noise.correlation, wide.columns[i], wide.columns[j], types)
        pairs += [(j, i, name)] if name is not None else []
    if not pairs and len(noisy) > 1:
        first = _filled(noise.correlation, a=wide.columns[noisy[0]], b=wide.columns[noisy[1]])
        raise has_no("source.noise.correlation", holder, first, list(types))
    return tuple(pairs)


def _covariances(
    wide: Wide, noise: NoiseSpec, holder: str, types: Mapping[str, pa.DataType]
) -> tuple[tuple[str | None, ...], tuple[tuple[int, int, str], ...]]:
    """Return the columns of variances, and those of covariances."""
    columns, setting = wide.columns, "source.noise.covariance"
    if isinstance(noise.columns, str):
        _check_places(setting, noise.columns, ("a", "b"))

    def named(i: int, j: int) -> str | None:
        if columns[i] in noise.exact or columns[j] in noise.exact:
            return None
        if isinstance(noise.columns, str):
            name = _either(noise.columns, columns[i], columns[j], types)
            missing = _filled(noise.columns, a=columns[i], b=columns[j])
        else:
            name = noise.columns.get(f"{columns[i]}\n{columns[j]}")
            missing = f"the covariance of {columns[i]} and {columns[j]}"
        if name is None:
            raise has_no(setting, holder, missing, list(types))
        return name

    D = len(columns)
    found = [(i, j, named(i, j)) for i, j in product(range(D), repeat=2) if i != j]
    pairs = tuple((i, j, name) for i, j, name in found if name is not None)
    return tuple(named(i, i) for i in range(D)), pairs


def _either(template: str, a: str, b: str, types: Mapping[str, pa.DataType]) -> str | None:
    """Return the column of a pair in either order."""
    names = (_filled(template, a=a, b=b), _filled(template, a=b, b=a))
    return next((name for name in names if name in types), None)


def _check_places(setting: str, template: str, places: Sequence[str]) -> None:
    missing = [f"{{{place}}}" for place in places if f"{{{place}}}" not in template]
    if missing:
        raise ConfigError(
            f"{setting}: {template!r} has no {' and no '.join(missing)} to fill in; for single "
            "columns give a map, as in std: {parallax: parallax_error}"
        )


def _filled(template: str, **places: str) -> str:
    for place, name in places.items():
        template = template.replace(f"{{{place}}}", name)
    return template
