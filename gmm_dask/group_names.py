"""The names of groups of rows (wells, plates, batches, shifts), and their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import ConfigError, DataError

Label = str | int | float
MOST = 65536
"""Groups, each with K weights; more labels are rather names of rows."""
SHOWN = 5


@dataclass(frozen=True)
class GroupNames:
    """The groups of a fit, by their numbers.

    Parameters
    ----------
    names : tuple of str, int or float
        Ascending: numbers, then text.
    """

    names: tuple[Label, ...]

    def codes(self, labels: Any) -> FloatArray:
        """Return the numbers (n,) of labels (n,), float64.

        Raises
        ------
        DataError
            A row has no label.
        ConfigError
            A label is not among the names.
        """
        import pandas as pd

        plain = plain_labels(labels)
        found = pd.Index(list(self.names), dtype=object).get_indexer(pd.Index(plain, dtype=object))
        if (found < 0).any():
            row = int((found < 0).argmax())
            listed = ", ".join(repr(name) for name in self.names[:SHOWN])
            more = f" and {len(self.names) - SHOWN} more" if len(self.names) > SHOWN else ""
            raise ConfigError(
                f"group {plain[row]!r} is not among those of the fit ({listed}{more}), so it has "
                "no weights; give its rows a known group, or take the weights of all rows "
                'together (groups="pooled"; --set model.weights_by=all)'
            )
        codes: FloatArray = found.astype(np.float64)
        return codes

    @staticmethod
    def of(labels: Any) -> GroupNames:
        """Return the groups that labels (n,) of any type name.

        What is neither text nor a number (dates, say) counts as its text.

        Raises
        ------
        DataError
            A row has no label; or there are more groups than `MOST`.
        """
        import pandas as pd

        found = pd.unique(pd.Series(plain_labels(labels), dtype=object))
        if len(found) > MOST:
            raise DataError(
                f"groups: {len(found)} different labels came; up to {MOST} groups have weights of "
                "their own. Give a column that many rows share"
            )
        return GroupNames(tuple(sorted(found, key=lambda name: (isinstance(name, str), name))))


def plain_labels(labels: Any) -> npt.NDArray[np.object_]:
    """Return labels (n,) as text and Python numbers.

    Raises
    ------
    DataError
        They are not one a row, or a row has none.
    """
    import pandas as pd

    array = np.asarray(labels)
    if array.ndim != 1:
        raise DataError(
            f"groups have shape {array.shape}; one label for each row, of shape (N,), is needed"
        )
    empty = np.asarray(pd.isna(array))
    if empty.any():
        raise DataError(f"row {int(empty.argmax())} has no group; each row needs one")
    if array.dtype.kind in "US":
        return array.astype(str).astype(object)
    if array.dtype.kind in "biuf":
        return np.array(array.tolist(), dtype=object) if len(array) else array.astype(object)
    result = np.empty(len(array), dtype=object)
    result[:] = [_plain(label) for label in array.tolist()]
    return result


def _plain(label: Any) -> Label:
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, bytes):
        return label.decode()
    return label if isinstance(label, str | int | float) else str(label)
