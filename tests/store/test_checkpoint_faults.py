"""A file system that refuses: full, read-only or failing, at any operation of a save."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from gmm_dask.errors import CheckpointError, StoreError
from gmm_dask.store.checkpoint import Checkpoints

from .simulated import FaultyFiles, MemoryFiles, copy_of, no_permission, no_space
from .test_checkpoint import IDENTITY, RUN
from .test_codec import same
from .values import CODEC, content


def failure(store: Checkpoints, number: int) -> str | None:
    """Return what was said if the checkpoint could not be written."""
    try:
        store.save(content(number), number)
    except StoreError as error:
        return str(error)
    return None


@pytest.mark.parametrize("make", [no_space, no_permission])
def test_a_refusing_file_system_at_any_operation(make: object) -> None:
    """Every operation fails in turn; earlier checkpoints stay and the next save works."""
    base = MemoryFiles()
    base.make_folder(RUN)
    store = Checkpoints(RUN, IDENTITY, CODEC, keep=2, files=base)
    for n in (1, 2):
        store.save(content(n), n)
    probe = FaultyFiles(copy_of(base))
    Checkpoints(RUN, IDENTITY, CODEC, keep=2, files=probe).save(content(3), 3)
    refused = 0
    for at in range(probe.count):
        files = copy_of(base)
        faulty = FaultyFiles(files, at, "torn", make())  # type: ignore[operator]
        store = Checkpoints(RUN, IDENTITY, CODEC, keep=2, files=faulty)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if (message := failure(store, 3)) is not None:
                refused += 1
                assert "pass 3 was not written" in message
                assert "Earlier checkpoints are untouched" in message
        loaded = Checkpoints(RUN, IDENTITY, CODEC, files=files).latest()
        assert loaded is not None
        assert same(loaded.value, content(loaded.pass_number))
        assert loaded.pass_number in (2, 3)
        if loaded.pass_number == 2:
            left = [name for name in files.names(RUN / "data") if name.startswith("0000000003")]
            assert left == [], "a full disk is not helped by what was written in vain"
        assert all("could not be deleted" in str(w.message) for w in caught)
        store.save(content(4), 4)
        loaded = Checkpoints(RUN, IDENTITY, CODEC, files=files).latest()
        assert loaded is not None
        assert same(loaded.value, content(4))
    assert refused >= 12


def test_refused_reads(tmp_path: Path) -> None:
    files = MemoryFiles()
    files.make_folder(RUN)
    Checkpoints(RUN, IDENTITY, CODEC, files=files).save(content(1), 1)

    class Refusing(FaultyFiles):
        def operate(self, name: str, *args: object) -> object:
            if name == self.refused:
                raise no_permission()
            return super().operate(name, *args)

    refusing = Refusing(files)
    refusing.refused = "names"  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="cannot list checkpoints"):
        Checkpoints(RUN, IDENTITY, CODEC, files=refusing).latest()
    refusing.refused = "read"  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match="no checkpoint in /run is valid"):
        Checkpoints(RUN, IDENTITY, CODEC, files=refusing).latest()
