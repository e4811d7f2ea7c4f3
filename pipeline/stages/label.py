"""Outputs of each row: label, probability and further words of ``output.columns``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gmm_dask import ConfigError
from pipeline.stages.seen import EXPECTED

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

AMBIGUOUS = 0.9
RESPONSIBILITIES = "responsibilities"
NO_LABEL = -1


@dataclass(frozen=True)
class Shares:
    """Responsibilities of n rows, taken apart so that small remainders keep their digits.

    Parameters
    ----------
    resp : (n, K) float64
        Rows sum to one.
    label : (n,) int64
        Most probable component, the first of equals.
    second : (n,) int64
        The next one; -1 where there is one component.
    largest, next_largest : (n,) float64
    rest : (n,) float64
        Sum of all but the largest: what ``1 - largest`` would be without cancellation.
    threshold : float
        Below this probability a label is ambiguous.
    """

    resp: FloatArray
    label: IntArray
    second: IntArray
    largest: FloatArray
    next_largest: FloatArray
    rest: FloatArray
    threshold: float = AMBIGUOUS

    @property
    def probability(self) -> FloatArray:
        """Of the label (n,); its distance from 1 is `rest` to the last bit of 1."""
        return 1.0 - self.rest

    @property
    def ambiguous(self) -> npt.NDArray[np.bool_]:
        """Whether the probability is below the threshold (n,)."""
        return self.probability < self.threshold


def shares_of(resp: FloatArray, threshold: float = AMBIGUOUS) -> Shares:
    """Return the responsibilities (n, K) taken apart."""
    row = np.arange(len(resp))
    label = resp.argmax(axis=1)
    others = resp.copy()
    others[row, label] = 0.0
    rest = others.sum(axis=1)
    others[row, label] = -1.0
    single = resp.shape[1] == 1
    second = np.full_like(label, NO_LABEL) if single else others.argmax(axis=1)
    next_largest = np.zeros(len(resp)) if single else resp[row, second]
    return Shares(resp, label, second, resp[row, label], next_largest, rest, threshold)


def _entropy(shares: Shares) -> FloatArray:
    """Return the entropy in nats; its largest term by ``log1p`` of the remainder."""
    others = shares.resp.copy()
    others[np.arange(len(others)), shares.label] = 0.0
    logs = np.log(np.where(others > 0, others, 1.0))
    entropy: FloatArray = -shares.largest * np.log1p(-shares.rest) - (others * logs).sum(axis=1)
    return entropy


_WORDS: Mapping[str, tuple[pa.DataType, Callable[[Shares, FloatArray], Array]]] = {
    "label": (pa.int32(), lambda shares, _: shares.label.astype(np.int32)),
    "probability": (pa.float64(), lambda shares, _: shares.probability),
    "log_density": (pa.float64(), lambda _, log_density: log_density),
    "entropy": (pa.float64(), lambda shares, _: _entropy(shares)),
    "margin": (pa.float64(), lambda shares, _: shares.largest - shares.next_largest),
    "second_label": (pa.int32(), lambda shares, _: shares.second.astype(np.int32)),
    "ambiguous": (pa.bool_(), lambda shares, _: shares.ambiguous),
}

OUTLIER = "outlier"
WORDS = (*_WORDS, RESPONSIBILITIES, *EXPECTED)
"""What ``output.columns`` may ask for here."""


def outputs_of(
    resp: FloatArray,
    log_density: FloatArray,
    columns: Sequence[str],
    blank: npt.NDArray[np.bool_] | None = None,
    expected: Mapping[str, FloatArray] | None = None,
    names: Sequence[str] = (),
    outlier: npt.NDArray[np.bool_] | None = None,
    threshold: float = AMBIGUOUS,
) -> dict[str, Array]:
    """Return the output columns of n rows, in the order asked for.

    Parameters
    ----------
    resp : (n, K) float64
        Responsibilities, rows sum to one.
    log_density : (n,) float64, nats, source units
    columns : sequence of str
        Among `WORDS`: ``label`` (int32, 0 the largest component), ``probability`` (float64, of
        the label, its distance from 1 correct to the last bit of 1), ``log_density``, ``entropy``
        (nats), ``margin`` (probability of the label over that of the next), ``second_label``
        (int32; -1 where K = 1), ``ambiguous`` (bool: probability below the threshold), ``outlier``
        (bool: see `outlier`), and
        ``responsibilities``, which gives the K columns resp_0, resp_1, ...; ``deconvolved_mean``
        and ``imputed``, which give a column for each of the source.
    blank : (n,) bool, optional
        Rows without any value: their labels are -1, their numbers NaN, their responsibilities
        the weights.
    expected : mapping of word to (n, D) float64, optional
        True values, where they are asked for.
    names : sequence of D str
        The columns of the source.
    outlier : (n,) bool, optional
        Which rows are, where that is asked for.
    threshold : float
        Of ``ambiguous``.

    Raises
    ------
    ConfigError
        If a word is not known.
    """
    shares = shares_of(resp, threshold)
    outputs: dict[str, Array] = {}
    for word in columns:
        if word == RESPONSIBILITIES:
            outputs |= {name: resp[:, k] for k, name in enumerate(_resp_names(resp.shape[1]))}
        elif word in EXPECTED:
            true = (expected or {})[word]
            outputs |= {name: true[:, j] for j, name in enumerate(_expected_names(word, names))}
        elif word == OUTLIER and outlier is not None:
            outputs[word] = _flagged(outlier, blank)
        else:
            outputs[word] = _flagged(_known(word)[1](shares, log_density), blank)
    return outputs


def _flagged(output: Array, blank: npt.NDArray[np.bool_] | None) -> Array:
    """Return an output that says nothing of rows without any value; these are ambiguous."""
    if blank is None or not blank.any():
        return output
    nothing = {"i": NO_LABEL, "f": np.nan, "b": True}[output.dtype.kind]
    return np.where(blank, np.asarray(nothing, output.dtype), output)


def label_schema(
    identity: pa.Schema, columns: Sequence[str], n_components: int, names: Sequence[str] = ()
) -> pa.Schema:
    """Return the columns of the assignments: the row's identity, then the outputs.

    Parameters
    ----------
    identity : pyarrow.Schema
        Of what the table's ``identity`` gives.
    columns : sequence of str
        See `outputs_of`.
    n_components : int
        K.
    names : sequence of D str
        The columns of the source.

    Raises
    ------
    ConfigError
        If a word is not known, or an identity column has the name of an output.
    """
    fields: list[pa.Field] = []
    for word in columns:
        if word == RESPONSIBILITIES or word in EXPECTED:
            several = (
                _expected_names(word, names) if word in EXPECTED else _resp_names(n_components)
            )
            fields += [pa.field(name, pa.float64(), nullable=False) for name in several]
        else:
            kind = pa.bool_() if word == OUTLIER else _known(word)[0]
            fields.append(pa.field(word, kind, nullable=False))
    taken = sorted({field.name for field in fields} & set(identity.names))
    if taken:
        raise ConfigError(
            f"source.id: {taken[0]} is also the name of an output; rename the column in the "
            f"source, or leave {taken[0]} out of output.columns"
        )
    return pa.schema([*identity, *fields])


def _resp_names(n_components: int) -> list[str]:
    return [f"resp_{k}" for k in range(n_components)]


def _expected_names(word: str, names: Sequence[str]) -> list[str]:
    prefix = "deconvolved" if word == "deconvolved_mean" else word
    return [f"{prefix}_{name}" for name in names]


def _known(word: str) -> tuple[pa.DataType, Callable[[Shares, FloatArray], Array]]:
    if word not in _WORDS:
        raise ConfigError(
            f"output.columns: {word} is not written by this version; "
            f"{', '.join((*WORDS, OUTLIER))} are"
        )
    return _WORDS[word]
