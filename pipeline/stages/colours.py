"""Colours: red, green and blue as hue, saturation and value, and a palette drawn from a fit.

The hue is an angle in degrees, 0 for red, 120 for green, 240 for blue. It is not defined where the
saturation is 0 (greys), nor is the saturation of black: both are missing there, NaN. The value is
the largest of red, green and blue, in their unit; the saturation runs from 0 to 1.

References
----------
Smith 1978, SIGGRAPH Comput. Graph. 12:12 (the hexcone).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask import DataError, GaussianMixture
from pipeline.stages.steps import FloatArray

NAMES = ("hue", "saturation", "value")
SIXTH = 60.0
"""Degrees."""


@dataclass(frozen=True)
class RgbToHsv:
    """Hue, saturation and value in the place of red, green and blue.

    Parameters
    ----------
    where : tuple of three int
        Positions of red, green and blue.
    labels : tuple of three str
        Their names.
    """

    where: tuple[int, ...]
    labels: tuple[str, ...]
    name: str = "rgb_to_hsv"

    def apply(self, rows: FloatArray, start: int = 0) -> FloatArray:
        """Map rows (n, D).

        Raises
        ------
        DataError
            A colour has a negative part.
        """
        rgb = rows[:, self.where]
        bad = (rgb < 0).any(axis=1)
        if bad.any():
            i = int(bad.argmax())
            raise DataError(
                f"transform rgb_to_hsv: red, green and blue are {rgb[i].tolist()} in row "
                f"{start + i}; parts of a colour are at least 0"
            )
        result = rows.copy()
        result[:, self.where] = to_hsv(rgb)
        return result

    def noise(self, noise: FloatArray, rows: FloatArray) -> FloatArray:  # noqa: ARG002
        """Refuse: a hue has no variance (the configuration is refused before)."""
        raise DataError("transform rgb_to_hsv: colours with noise cannot be turned into hues")

    def invert(self, rows: FloatArray) -> FloatArray:
        """Map rows back; saturations are drawn into 0 to 1, values to at least 0."""
        result = rows.copy()
        result[:, self.where] = to_rgb(rows[:, self.where])
        return result

    def invert_covariance(self, mean: FloatArray, covariance: FloatArray) -> FloatArray:
        """Map a covariance back, linearised at the mean by central differences."""
        slope = np.eye(len(mean))
        for name, column in zip(NAMES, self.where, strict=True):
            step = np.zeros(len(mean))
            step[column] = 1e-4 * {"hue": 360.0, "saturation": 1.0}.get(name, mean[column])
            ends = self.invert(np.stack([mean - step, mean + step]))
            slope[:, column] = (ends[1] - ends[0]) / max(2.0 * step[column], 1e-300)
        turned: FloatArray = slope @ covariance @ slope.T
        return turned

    def log_jacobian(self, rows: FloatArray) -> FloatArray:
        """Return log |d (hue, saturation, value) / d (r, g, b)|, of what is defined.

        Value moves with the largest part alone, saturation beside it with the smallest (by 1 over
        the value), hue with the middle one (60 degrees over the range of the parts).
        """
        rgb = rows[:, self.where]
        value, chroma = rgb.max(axis=1), np.ptp(rgb, axis=1)
        total: FloatArray = -np.log(np.where(value > 0, value, 1.0))
        total += np.where(chroma > 0, np.log(SIXTH) - np.log(np.where(chroma > 0, chroma, 1.0)), 0)
        return np.where(np.isnan(value), 0.0, total)

    @property
    def constant_jacobian(self) -> float | None:
        """None: it depends on the row."""
        return None

    def columns(self, before: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names with hue, saturation and value in place of the colours'."""
        names = list(before)
        for place, name in zip(self.where, NAMES, strict=True):
            names[place] = name
        return tuple(names)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"name": self.name, "where": self.where, "labels": self.labels}


def to_hsv(rgb: FloatArray) -> FloatArray:
    """Return hue (degrees), saturation and value (n, 3) of colours; NaN where not defined."""
    value, chroma = rgb.max(axis=1), np.ptp(rgb, axis=1)
    red, green, blue = rgb.T
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = np.stack([(green - blue), (blue - red), (red - green)]) / chroma
        hue = (
            SIXTH
            * np.take_along_axis(
                sides + np.array([[0.0], [2.0], [4.0]]), _largest(rgb)[None], axis=0
            )[0]
        )
        saturation = np.where(value > 0, chroma / value, np.nan)
    hue = np.where(chroma > 0, np.remainder(hue, 360.0), np.nan)
    found: FloatArray = np.stack([hue, saturation, value], axis=1)
    unknown = np.isnan(rgb).any(axis=1, keepdims=True)
    return np.where(unknown, np.nan, found)


def _largest(rgb: FloatArray) -> npt.NDArray[np.intp]:
    largest: npt.NDArray[np.intp] = np.where(np.isnan(rgb), -1.0, rgb).argmax(axis=1)
    return largest


def to_rgb(hsv: FloatArray) -> FloatArray:
    """Return red, green and blue (n, 3) of hue (degrees), saturation and value."""
    hue, saturation, value = hsv.T
    saturation, value = np.clip(saturation, 0.0, 1.0), np.maximum(value, 0.0)
    place = (np.array([[5.0], [3.0], [1.0]]) + hue / SIXTH) % 6.0
    away = np.clip(np.minimum(place, 4.0 - place), 0.0, 1.0)
    colours: FloatArray = (value * (1.0 - saturation * away)).T
    return colours


def palette(model: GaussianMixture, n: int) -> FloatArray:
    """Return n colours (n, 3), red, green and blue from 0 to 1, drawn from a fit of three columns.

    Parameters
    ----------
    model : GaussianMixture
        Of hue (degrees, circular), saturation and value; values beyond 1 are drawn in.
    n : int
    """
    rows, _ = model.sample(n)
    return np.clip(to_rgb(rows), 0.0, 1.0)
