"""Any order of saves, crashes, power cuts, damage and restarts, against a model in memory."""

from __future__ import annotations

import contextlib
import itertools
import uuid
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gmm_dask.errors import CheckpointError, FormatError
from gmm_dask.store.checkpoint import Checkpoints
from gmm_dask.store.codec import Codec
from gmm_dask.store.marker import parse

from .simulated import Crash, FaultyFiles, MemoryFiles

RUN = Path("/run")
KEEP = 3
CODEC = Codec([])


class Store(RuleBasedStateMachine):
    """The model: for each pass, the values that its checkpoint may hold, and what was harmed.

    `certain` holds passes whose checkpoint must be valid, with its only possible value; `possible`
    those that a crash left in doubt; `harmed` those that must not be read.
    """

    @initialize()
    def start(self) -> None:
        # Names must be the same when an example is repeated
        numbers = itertools.count()
        self.patch = mock.patch(
            "uuid.uuid4", side_effect=map(uuid.UUID, map("{:032x}".format, numbers))
        )
        self.patch.start()
        self.files = MemoryFiles()
        self.files.make_folder(RUN)
        self.files.sync_folder(RUN.parent)
        self.certain: dict[int, int] = {}
        self.possible: dict[int, set[int]] = {}
        self.harmed: set[int] = set()
        self.counter = 0
        self.reopen()

    def teardown(self) -> None:
        self.patch.stop()

    @rule()
    def reopen(self) -> None:
        """A new driver: it asks for the latest checkpoint and goes on from there.

        It comes late enough that the system has written everything to the disk on its own.
        """
        self.files.settle()
        self.store = Checkpoints(RUN, {"seed": 1}, CODEC, KEEP, files=self.files)
        self.number = self.check() + 1

    @rule(skip=st.integers(0, 2))
    def save(self, skip: int) -> None:
        number, value = self.number + skip, self.value()
        self.store.save(value, number)
        self.number = number + 1
        self.certain = {n: v for n, v in self.certain.items() if n < number} | {
            number: self.counter
        }
        self.possible.pop(number, None)
        self.harmed.discard(number)
        self.forget()
        assert len(self.markers()) <= KEEP

    @rule(at=st.integers(0, 45), when=st.sampled_from(["before", "torn", "after"]), data=st.data())
    def crash(self, at: int, when: str, data: st.DataObject) -> None:
        """The driver dies in a save, half of the times by a power cut, and another takes over."""
        number, value = self.number, self.value()
        self.store._files = self.store._commits._files = FaultyFiles(self.files, at, when)
        with contextlib.suppress(Crash):
            self.store.save(value, number)
        if data.draw(st.booleans()):
            choose = data.draw(st.randoms(use_true_random=False)).randrange
            self.files = self.files.after_power_cut(choose)
        safe = bool(self.certain)
        before = {self.certain.pop(number)} if number in self.certain else set()
        self.possible.setdefault(number, set()).update(before, {self.counter})
        self.forget()
        self.reopen()
        assert self.certain or not safe, "the last valid checkpoint was lost"

    @precondition(lambda self: self.paths())
    @rule(data=st.data())
    def flip_a_bit(self, data: st.DataObject) -> None:
        number, path = data.draw(st.sampled_from(self.paths()))
        raw = bytearray(self.files.read(path, 10**9))
        if raw:
            bit = data.draw(st.integers(0, 8 * len(raw) - 1))
            raw[bit // 8] ^= 1 << bit % 8
            self.harm(number, path, bytes(raw))

    @precondition(lambda self: self.paths())
    @rule(data=st.data(), share=st.floats(0, 0.99))
    def truncate(self, data: st.DataObject, share: float) -> None:
        number, path = data.draw(st.sampled_from(self.paths()))
        raw = self.files.read(path, 10**9)
        if raw:
            self.harm(number, path, raw[: int(share * len(raw))])

    @precondition(lambda self: self.paths())
    @rule(data=st.data())
    def lose_a_file(self, data: st.DataObject) -> None:
        number, path = data.draw(st.sampled_from(self.paths()))
        self.files.delete(path)
        self.files.sync_folder(path.parent)
        self.certain.pop(number, None)
        self.possible.pop(number, None)
        self.harmed.add(number)
        self.reopen()

    @invariant()
    def a_fresh_reader_agrees(self) -> None:
        self.check()

    def check(self) -> int:
        """Compare with what a fresh reader finds; return the pass from which it goes on."""
        reader = Checkpoints(RUN, {"seed": 1}, CODEC, KEEP, files=self.files)
        markers = self.markers()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                loaded = reader.latest()
            except CheckpointError:
                assert markers, "an error although there was nothing"
                assert not self.certain, "a valid checkpoint was not found"
                return 0
        if loaded is None:
            assert not markers
            assert not self.certain
            return 0
        number, value = loaded.pass_number, loaded.value["value"]
        assert tuple(loaded.value["tail"]) == (value, value + 1), "torn"
        allowed = {self.certain[number]} if number in self.certain else self.possible[number]
        assert value in allowed
        assert number >= max(self.certain, default=0), "a newer valid one was passed over"
        later = [n for n in markers if n > number]
        assert bool(caught) == bool(later), "newer ones are passed over with a warning only"
        self.certain[number] = value
        self.possible.pop(number, None)
        self.harmed.discard(number)
        return number

    def value(self) -> dict[str, Any]:
        """Return a value never saved before."""
        self.counter += 1
        return {"value": self.counter, "tail": np.array([self.counter, self.counter + 1])}

    def harm(self, number: int, path: Path, raw: bytes) -> None:
        self.files.write(path, raw)
        self.files.sync(path)
        self.certain.pop(number, None)
        self.possible.pop(number, None)
        self.harmed.add(number)
        self.reopen()

    def markers(self) -> list[int]:
        names = self.files.names(RUN / "commits")
        return [int(name[:10]) for name in names if not name.startswith(".")]

    def forget(self) -> None:
        """Drop what retention deleted, which must not be more than it may."""
        present = set(self.markers())
        self.certain = {n: v for n, v in self.certain.items() if n in present}
        self.possible = {n: v for n, v in self.possible.items() if n in present}
        self.harmed &= present

    def paths(self) -> list[tuple[int, Path]]:
        """Return the files of all checkpoints not harmed yet (twice could heal), with passes."""
        found = []
        for number in sorted(set(self.markers()) - self.harmed):
            marker = RUN / "commits" / f"{number:010d}.json"
            try:
                data = RUN / "data" / parse(self.files.read(marker, 10**9), marker.name).data
            except FormatError:
                continue
            found += [(number, path) for path in (marker, *self.files.paths(data))]
        return found


Store.TestCase.settings = settings(
    max_examples=60, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStore = Store.TestCase
