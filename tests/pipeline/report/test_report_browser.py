"""The page as a browser paints it; skipped where there is no Chromium."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from report_pages import Page

from pipeline.report.palette import BASE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to paint the page with")


def painted(page: Path, folder: Path, width: int, height: int) -> np.ndarray:
    """The pixels of the first screen, 0 to 255."""
    picture = folder / f"{width}.png"
    command = [
        str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}",
        f"--screenshot={picture}", f"--window-size={width},{height}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return np.round(matplotlib.image.imread(picture)[..., :3] * 255).astype(int)


def has_color(pixels: np.ndarray, hex_color: str) -> bool:
    rgb = [int(hex_color[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(pixels - rgb).max(axis=-1) <= 3).sum() > 20)


def test_the_first_screen_shows_figure_and_table(pages: dict[str, Page], tmp_path: Path) -> None:
    pixels = painted(pages["digits"].path, tmp_path, 1200, 1400)
    warning = has_color(pixels[:400], "#fff8e8")
    figure = pixels[330:880, :760]
    assert warning
    assert all(has_color(figure, one) for one in BASE[:10])
    table = pixels[980:1400]
    assert all(has_color(table, one) for one in BASE[:9])


def test_a_narrow_window_needs_no_sideways_scrolling(
    pages: dict[str, Page], tmp_path: Path
) -> None:
    # A window cannot be narrower than 500 pixels, a frame can: what overflows would be painted
    # in the frame's scroll bar, what is cut would leave the right margin without white.
    outer = tmp_path / "outer.html"
    source = pages["digits"].path.as_uri()
    outer.write_text(
        f"<body style='margin:0;background:#00ff00'><iframe src='{source}' "
        "style='border:0;width:400px;height:3000px'></iframe>"
    )
    pixels = painted(outer, tmp_path, 500, 3000)
    assert (pixels[:2900, 386:398] == 255).all()
    assert has_color(pixels[:1100, :400], BASE[0])
