"""A zarr store that says so when a chunk is not there, where zarr would return the fill value."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zarr.storage import WrapperStore

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import Buffer, BufferPrototype

METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
# Seconds to wait before each new attempt at a chunk that could not be fetched.
WAITS = (0.1, 0.5, 2.0)


def check_blosc(header: bytes, length: int) -> None:
    """Raise ValueError unless a Blosc frame has the length that its 16 bytes of header tell.

    The library does not look: it unfolds a frame that was cut short into whatever comes after it
    in memory, without an error.

    References
    ----------
    Blosc1 chunk format: bytes 12 to 15 are the length of the frame, little endian.
    """
    told = int.from_bytes(header[12:16], "little")
    if length < 16 or told != length:
        raise ValueError(f"Blosc frame of {length} bytes, its header says {told}")


class MissingChunkError(Exception):
    """A chunk is not in the store; the argument is its key."""


class UnreadableChunkError(Exception):
    """The store failed on a chunk every time; arguments are its key, the error, the attempts."""


class StrictStore(WrapperStore[Any]):
    """Passes everything to another store; a missing chunk is an error, and errors are repeated.

    zarr 3.1 has no such option (``array.read_missing_chunks`` came with 3.2), and asking for each
    chunk first would double the requests and still leave a gap in time.

    Parameters
    ----------
    store : zarr store
    waits : sequence of float
        Seconds before each repetition after an error of the store that may pass.
    missing : bool
        Let missing chunks pass after all.
    """

    def __init__(self, store: Store, waits: Sequence[float] = WAITS, missing: bool = False) -> None:
        super().__init__(store)
        self._waits = tuple(waits)
        self._missing = missing
        self.blosc = False
        """Set where each object is one Blosc frame."""

    def _with_store(self, store: Store) -> StrictStore:
        return type(self)(store, self._waits, self._missing)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the bytes of a key; raise MissingChunkError for a chunk that is not there."""
        found = await self._fetch(key, prototype, byte_range)
        if key.endswith(METADATA):
            return found
        if found is None and not self._missing:
            raise MissingChunkError(key)
        if found is not None and self.blosc and byte_range is None:
            check_blosc(found[:16].to_bytes(), len(found))
        return found

    async def _fetch(self, key: str, prototype: Any, byte_range: Any) -> Buffer | None:
        for wait in (*self._waits, None):
            try:
                found: Buffer | None = await super().get(key, prototype, byte_range)
            except Exception as error:
                # Libraries of object stores raise types of their own; the key tells where it was
                if wait is None or isinstance(error, PermissionError):
                    raise UnreadableChunkError(key, error, len(self._waits) + 1) from error
                await asyncio.sleep(wait)
            else:
                return found
        raise AssertionError("the last attempt returns or raises")
