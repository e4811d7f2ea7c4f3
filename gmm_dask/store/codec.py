"""Values to plain JSON and arrays, and back, through an allow-list of classes: never a pickle.

The skeleton is JSON: ``null``, booleans, integers, strings and finite numbers stand for
themselves, a list is a tuple, and an object has exactly one key that says what it is::

    {"class": ["Params", {"means": {"array": "params.means"}}]}   a dataclass or named tuple
    {"enum": ["Kind", "FULL"]}      {"dict": {"a": 1}}            {"array": "name"}
    {"float": "7ff0000000000000"}   the bits of inf and nan       {"int": "0x1p"}  large integers
    {"scalar": ["<f4", "0000803f"]} a NumPy scalar: type and bytes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy.typing as npt

from gmm_dask.store.decoding import Decoder
from gmm_dask.store.encoding import Encoder
from gmm_dask.store.layout import LIMITS, Arrays, Limits, is_enum, is_frozen, is_named_tuple


class Codec:
    """Encodes values made of the given classes, tuples, dicts, scalars and arrays.

    Parameters
    ----------
    classes : iterable of type
        Frozen dataclasses, NamedTuples and Enums, each under its own bare name, so that a class
        may move to another module without breaking old files.
    limits : Limits

    Raises
    ------
    TypeError
        If a class is of another sort.
    ValueError
        If two classes have one name.
    """

    def __init__(self, classes: Iterable[type], limits: Limits = LIMITS) -> None:
        self.limits = limits
        self._classes: dict[str, type] = {}
        for cls in classes:
            if not (is_enum(cls) or is_named_tuple(cls) or is_frozen(cls)):
                raise TypeError(f"{cls!r} is not a frozen dataclass, a NamedTuple or an Enum")
            if self._classes.setdefault(cls.__name__, cls) is not cls:
                raise ValueError(f"two classes are named {cls.__name__}: stored names must differ")

    def encode(self, value: Any) -> tuple[Any, Arrays]:
        """Return the JSON skeleton of a value and its arrays by name.

        Lists come back as tuples, NumPy strings as str, arrays in C order and native byte order.

        Raises
        ------
        TypeError
            If something in the value is not storable, with its place.
        FormatError
            If the value is nested deeper or larger than the limits (it could not be read back).
        """
        encoder = Encoder(self._classes, self.limits)
        skeleton = encoder.encode(value, ())
        return skeleton, encoder.arrays

    def decode(self, skeleton: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
        """Return the value of a skeleton and its arrays.

        A field that the file lacks takes the default of its class, so that older files stay
        readable.

        Raises
        ------
        FormatError
            On an unknown class, field or member, a missing field without a default, or damage.
        """
        return Decoder(self._classes, self.limits, arrays).decode(skeleton, 0)
