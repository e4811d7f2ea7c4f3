from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from gmm_dask.store.strict_store import (
    METADATA,
    MissingChunkError,
    StrictStore,
    UnreadableChunkError,
)


class Failing(MemoryStore):
    """Fails on chunks a given number of times."""

    times: int = 0
    error: type[Exception] = OSError
    asked: int = 0

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        if not key.endswith(METADATA):
            type(self).asked += 1
            if type(self).asked <= type(self).times:
                raise self.error("connection reset")
        return await super().get(key, prototype, byte_range)


@pytest.fixture
def held() -> dict[str, Any]:
    store: dict[str, Any] = {}
    zarr.create_array(MemoryStore(store), data=np.arange(6.0), chunks=(2,))
    return store


def strict(held: dict[str, Any], store: type[MemoryStore] = MemoryStore, **options: Any) -> Any:
    return zarr.open_array(StrictStore(store(held, read_only=True), **options), mode="r")


def test_all_is_as_ever_while_chunks_are_there(held: dict[str, Any]) -> None:
    np.testing.assert_array_equal(strict(held)[...], np.arange(6.0))


def test_a_missing_chunk_is_an_error_unless_allowed(held: dict[str, Any]) -> None:
    del held["c/1"]
    with pytest.raises(MissingChunkError, match="c/1"):
        strict(held)[...]
    np.testing.assert_array_equal(strict(held)[4:], [4, 5])
    np.testing.assert_array_equal(strict(held, missing=True)[...], [0, 1, 0, 0, 4, 5])


def test_transient_errors_are_repeated(held: dict[str, Any]) -> None:
    class Twice(Failing):
        times = 2

    np.testing.assert_array_equal(strict(held, Twice, waits=(0, 0))[:2], [0, 1])
    assert Twice.asked == 3


def test_lasting_errors_are_told_with_their_key(held: dict[str, Any]) -> None:
    class Always(Failing):
        times = 10**9

    with pytest.raises(UnreadableChunkError) as caught:
        strict(held, Always, waits=(0, 0))[:2]
    key, error, attempts = caught.value.args
    assert (key, str(error), attempts) == ("c/0", "connection reset", 3)


def test_permission_is_not_asked_for_again(held: dict[str, Any]) -> None:
    class Denied(Failing):
        times = 10**9
        error = PermissionError

    with pytest.raises(UnreadableChunkError):
        strict(held, Denied, waits=(0, 0))[:2]
    assert Denied.asked == 1
