from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from pipeline.report.palette import BASE, color, dashes

# Machado, Oliveira and Fernandes 2009, IEEE TVCG 15:1291: severity 1, on linear RGB.
SEEN_BY = {
    "all cones": np.eye(3),
    "protanopes": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998]]),
    "deuteranopes": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881]]),
    "tritanopes": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def linear(hex_color: str) -> np.ndarray:
    rgb = np.array([int(hex_color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    cones = np.array([
        [0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005]]) @ np.clip(rgb, 0, 1)  # fmt: skip
    return np.array([
        [0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660]]) @ np.cbrt(cones)  # fmt: skip


@pytest.mark.parametrize("eye", list(SEEN_BY))
def test_ten_colors_are_apart_for_every_eye(eye: str) -> None:
    seen = [oklab(SEEN_BY[eye] @ linear(one)) for one in BASE]
    distances = [float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)]
    assert min(distances) > 0.1


def test_colors_stand_out_from_white_paper() -> None:
    luminance = [float(linear(one) @ [0.2126, 0.7152, 0.0722]) for one in BASE]
    assert min(1.05 / (value + 0.05) for value in luminance) > 2.0


def test_thirty_components_differ_in_color_and_repeat_after_it() -> None:
    assert len({color(number) for number in range(30)}) == 30
    assert len({(color(n), dashes(n)) for n in range(30)}) == 30
    assert color(30) == color(0)
    assert dashes(4) != dashes(14) != dashes(24)
    assert color(0) == BASE[0]
