from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs.zstd import Zstd

from gmm_dask.store.zstd_frame import content_size


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("size", [1, 8, 255, 256, 257, 65791, 65792, 300_000, 3_000_000])
@pytest.mark.parametrize("kind", ["zeros", "noise", "mixed"])
def test_the_size_is_what_the_library_unfolds(size: int, kind: str, checksum: bool) -> None:
    noise = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    data = {
        "zeros": bytes(size),
        "noise": noise,
        "mixed": noise[: size // 2] + bytes(-(-size // 2)),
    }
    frame = Zstd(level=1, checksum=checksum).encode(data[kind])
    assert content_size(bytes(frame)) == size == len(Zstd().decode(frame))


@given(st.integers(1, 5000), st.integers(0, 10**6))
def test_a_cut_or_continued_frame_is_refused(size: int, where: int) -> None:
    frame = bytes(Zstd(level=1).encode(np.arange(size, dtype=np.int32).tobytes()))
    for damaged in (frame[: where % len(frame)], frame + frame, frame + b"\0"):
        with pytest.raises(ValueError):
            content_size(damaged)


@given(st.binary(max_size=40))
def test_no_bytes_hang_or_crash_the_reader(data: bytes) -> None:
    for text in (data, b"\x28\xb5\x2f\xfd" + data):
        with contextlib.suppress(ValueError):
            assert content_size(text) >= 0
