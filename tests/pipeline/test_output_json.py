"""What other programs read: one object, valid JSON whatever the numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from pipeline.output_json import dump, plain, print_json

FACTS = {"a": np.float64(1.5), "b": (math.inf, -math.inf, math.nan), 3: np.arange(2)}
PLAIN = {"a": 1.5, "b": [None, None, None], "3": [0, 1]}


def test_plain_values() -> None:
    assert plain(FACTS) == PLAIN
    assert plain({"path": Path("/x"), "yes": True, "none": None, "n": np.int32(7)}) == {
        "path": "/x",
        "yes": True,
        "none": None,
        "n": 7,
    }


def test_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_json(FACTS)
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == PLAIN
    dump(FACTS, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == PLAIN
    assert [item.name for item in tmp_path.iterdir()] == ["x.json"]


def test_a_failure_to_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump({"old": 1}, tmp_path / "x.json")

    def full(self: Path, text: str, encoding: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        dump({"new": 2}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"old": 1}
