from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.sources import handles
from pipeline.sources.handles import borrowed, release


class Handle:
    """Something that must be used by one thread at a time, and not after it is closed."""

    def __init__(self) -> None:
        self.is_open, self.busy, self.uses = True, threading.Lock(), 0

    def use(self) -> None:
        assert self.is_open
        assert self.busy.acquire(blocking=False)
        self.uses += 1
        self.busy.release()

    def close(self) -> None:
        self.is_open = False


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    release()
    yield
    release()


def test_one_handle_for_one_key() -> None:
    made: list[Handle] = []

    def opener() -> Handle:
        made.append(Handle())
        return made[-1]

    for _ in range(3):
        with borrowed("a", opener) as handle:
            handle.use()
    with borrowed("b", opener) as handle:
        handle.use()
    assert [handle.uses for handle in made] == [3, 1]
    release()
    assert not any(handle.is_open for handle in made)


def test_the_oldest_are_closed_but_never_one_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "MAX_OPEN", 2)
    with borrowed("kept", Handle) as kept:
        found = []
        for key in range(5):
            with borrowed(key, Handle) as handle:
                found.append(handle)
        release()
        kept.use()
    assert not any(handle.is_open for handle in found)
    with borrowed("kept", Handle) as again:
        assert again is kept


def test_threads_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "MAX_OPEN", 2)

    def work(number: int) -> None:
        with borrowed(number % 4, Handle) as handle:
            handle.use()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(2000)))


def test_a_failed_opening_is_tried_again() -> None:
    def fails() -> Handle:
        raise OSError("not yet")

    with pytest.raises(OSError, match="not yet"), borrowed("a", fails):
        pass
    with borrowed("a", Handle) as handle:
        handle.use()
