"""Configurations, words of the command line and paths that cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from tests.faults.bad import configs
from tests.faults.bad.malformed import malformed
from tests.faults.bad.place import REFUSED, ask, check, folder


def ask_all(*words: str, commands: tuple[str, ...] = ("validate", "plan")) -> None:
    """Fail if an answer is not as it must be, or a file was made that nobody asked for."""
    for command in commands:
        answer = ask(command, *words)
        check(answer, (0, *REFUSED))
        assert "hunter2" not in answer.err + answer.out
    assert not Path("hacked").exists()
    assert not Path("runs").exists()


@malformed(80, raw=configs.bad_files())
def test_files_that_are_no_configuration(raw: bytes) -> None:
    with folder():
        Path("rows.csv").write_text(configs.ROWS)
        Path("c.yaml").write_bytes(raw)
        ask_all("c.yaml")


@malformed(80, whole=configs.bad_settings())
def test_settings_that_mean_nothing(whole: dict[str, Any]) -> None:
    with folder():
        Path("rows.csv").write_text(configs.ROWS)
        Path("c.yaml").write_text(yaml.safe_dump(whole))
        ask_all("c.yaml")


@malformed(100, words=st.lists(configs.overrides, min_size=1, max_size=3))
def test_overrides_that_mean_nothing(words: list[str]) -> None:
    with folder():
        Path("rows.csv").write_text(configs.ROWS)
        Path("c.yaml").write_text(yaml.safe_dump(configs.GOOD))
        ask_all("c.yaml", *(word for one in words for word in ("--set", one)))


@pytest.mark.parametrize("command", ["validate", "plan", "run", "status", "report"])
@pytest.mark.parametrize("target", configs.TARGETS)
def test_targets_that_are_nothing_to_run(command: str, target: str) -> None:
    with folder():
        Path("rows.csv").write_text(configs.ROWS)
        Path("c.yaml").write_text(yaml.safe_dump(configs.GOOD))
        Path("folder").mkdir()
        Path("loop").symlink_to("loop")
        answer = ask(command, target)
        check(answer, REFUSED) if target != "--" else None
        assert answer.code in REFUSED
        shutil.rmtree("runs", ignore_errors=True)
