"""What a run prints at its end: the table of candidates, the choice in words, the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.progress import in_words


def ending_of(manifest: dict[str, Any], code: int) -> str:
    """Return the last lines of a run for the terminal."""
    lines = list(manifest.get("table", []))
    if manifest.get("sentence"):
        lines += ["", manifest["sentence"]]
    lines += [text for text in manifest.get("widths", []) if text]
    lines += manifest.get("diagnosis", [])
    lines += [f"warning: {text}" for text in manifest.get("warnings", [])]
    for name, item in manifest.get("outputs", {}).items():
        note = f"   {item['note']}" if item.get("note") else ""
        lines.append(f"{name:<11} {_short(item['path'])}{note}")
    if code and manifest.get("reason"):
        lines.append(str(manifest["reason"]))
    return "\n".join([*lines, _last(manifest, code)])


def _last(manifest: dict[str, Any], code: int) -> str:
    took, passes = in_words(manifest.get("seconds", 0.0)), manifest.get("passes", 0)
    if manifest.get("already_finished"):
        when, where = manifest["finished"], _short(manifest["dir"])
        return f"already finished {when} in {where}, after {took}, {passes} passes (exit {code})"
    return f"finished in {took}, {passes} passes (exit {code})"


def _short(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
