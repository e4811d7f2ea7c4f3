"""What went wrong with a source, in the words of who wrote the configuration."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from gmm_dask import (
    ConfigError,
    DataError,
    GmmDaskError,
    ResourceError,
    SourceChangedError,
)

__all__ = [
    "ConfigError",
    "DataError",
    "GmmDaskError",
    "ResourceError",
    "SourceChangedError",
    "has_no",
    "listed",
    "nearest",
    "translated",
    "untrusted",
]

MAX_LISTED = 12
MAX_QUOTED = 200
# Whose errors, where they are none of those that reading is known to raise, are faults of this
# program.
OWN = ("builtins", "gmm_dask", "pipeline", "numpy", "pyarrow")


def nearest(name: str, known: Sequence[str]) -> str:
    """Return " Did you mean X?" for the known name most like `name`, or nothing."""
    lower = {item.lower(): item for item in reversed(known)}
    match = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.6)
    return f" Did you mean {lower[match[0]]}?" if match else ""


def listed(names: Sequence[str], what: str = "") -> str:
    """Write names as "a, b, c", cut after a dozen with the number of all."""
    shown = ", ".join(names[:MAX_LISTED])
    if len(names) <= MAX_LISTED:
        return shown or "none"
    return f"{shown}, ... ({len(names)}{' ' + what if what else ''} in all)"


def has_no(
    setting: str, holder: str, name: str, known: Sequence[str], shown: Sequence[str] = ()
) -> DataError:
    """Make the error for a name that the data do not have.

    Parameters
    ----------
    setting : str
        The key that named it, such as ``source.columns``.
    holder : str
        The file.
    name : str
        What was asked for.
    known : sequence of str
        What there is.
    shown : sequence of str, optional
        The same with more words, such as widths.
    """
    there = listed(shown or known)
    return DataError(f"{setting}: {holder} has no {name}; it has {there}.{nearest(name, known)}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, cut to a readable length."""
    return scrubbed(error, ())


def scrubbed(error: BaseException, secrets: Sequence[str]) -> str:
    """Return the first line of an error's text without secrets, cut to a readable length."""
    text = str(error)
    for secret in sorted(secrets, key=len, reverse=True):  # before a cut could halve one
        text = text.replace(secret, "***")
    text = (text.strip().splitlines() or [type(error).__name__])[0]
    return text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + " ..."


@contextmanager
def translated(where: str, what: str, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Turn whatever a reading library raises into an error of this project.

    The original is dropped from the chain: its text may quote a credential.

    Parameters
    ----------
    where : str
        The file, as it may be shown.
    what : str
        What the file should be, such as "a parquet file".
    secrets : sequence of str
        Strings that must not appear in a message.
    """
    try:
        yield
    except (GmmDaskError, MemoryError):
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, pa.ArrowException) as error:
        # h5py says by RuntimeError what is wrong inside a file
        raise _translate(error, where, what, scrubbed(error, secrets)) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] in OWN:
            raise
        # of a store's library, which has classes of its own
        text = f"{type(error).__name__}: {scrubbed(error, secrets)}"
        raise ResourceError(f"{where}: the storage failed ({text})") from None


@contextmanager
def untrusted(where: str, what: str, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Do as `translated`, for nothing but the call of a library on bytes that may be anything.

    Damaged or hostile headers raise whatever a parser meets first: type, attribute and recursion
    errors too, which elsewhere would be faults of this program.
    """
    with translated(where, what, secrets):
        try:
            yield
        except (GmmDaskError, MemoryError, OSError, ImportError, pa.ArrowException):
            raise
        except Exception as error:
            text = scrubbed(error, secrets)
            raise ValueError(f"{type(error).__name__}: {text}") from None


def _translate(error: Exception, where: str, what: str, text: str) -> GmmDaskError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{where}: no such file (it was there before, or a part of it is gone)")
    if isinstance(error, PermissionError):
        return ResourceError(f"{where}: no permission to read it; ask its owner, or copy it")
    if isinstance(error, ImportError):
        return ConfigError(f"{where}: a package is missing to read it: {text}")
    if isinstance(error, OSError) and error.errno is not None:
        return ResourceError(f"{where}: the storage failed ({text}); running again may succeed")
    if isinstance(error, pa.ArrowCancelled):
        return ResourceError(f"{where}: reading was cancelled")
    return DataError(f"{where}: damaged, or not {what} ({text})")
