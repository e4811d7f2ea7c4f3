"""Reads a report the way a browser does, with the standard library's parser."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

_VOID = {"meta", "img", "link", "br", "input", "base"}


class Page(HTMLParser):
    """Tags, attributes, visible text and CSV files of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.html = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.pieces: list[str] = []
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.pieces.append(data)
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def csv(self, part: str) -> list[list[str]]:
        """The lines of the one CSV whose file name ends so."""
        found = [
            attrs["href"]
            for tag, attrs in self.tags
            if tag == "a" and attrs.get("download", "").endswith(f"-{part}.csv")
        ]
        assert found, f"no CSV {part}"
        head, body = found[0].split(",", 1)
        assert head == "data:text/csv;charset=utf-8"
        return list(csv.reader(io.StringIO(unquote(body, errors="strict"))))
