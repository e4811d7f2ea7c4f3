"""Hues around red: a Gaussian mixture splits one cluster in two, one of angles does not."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from gmm_dask import GaussianMixture, Observed, describe, observer_of

COLOURS = ("#0d5c8c", "#c2571a", "#5a8a3a")


def rows(n: int = 2000) -> np.ndarray:
    """Return hues (n, 1) in degrees: 60 % red, about 0, and 40 % blue, about 220."""
    rng = np.random.default_rng(0)
    red = rng.random(n) < 0.6
    return np.where(red, rng.normal(0, 12, n), rng.normal(220, 20, n))[:, None] % 360


def hues(path: Path) -> None:
    """Draw both fits over the histogram of the hues, as SVG."""
    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "hues", "svg.fonttype": "none", "font.family": "sans-serif"}
    from matplotlib import pyplot as plt

    X = rows()
    fits = {
        "Gaussian: red is two components": GaussianMixture(3, n_init=5, random_state=0).fit(X),
        "von Mises: red is one": GaussianMixture(2, circular={0: 360}, random_state=0).fit(X),
    }
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.4), sharey=True, layout="constrained")
    for axes, (title, model) in zip(panels, fits.items(), strict=True):
        _panel(axes, X, model)
        axes.set_title(title, fontsize=9)
    panels[0].set_ylabel("density per degree", fontsize=8)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _panel(axes: mpl.axes.Axes, X: np.ndarray, model: GaussianMixture) -> None:
    axes.hist(X[:, 0], 72, (0, 360), density=True, color="#d5dce2")
    grid = np.linspace(0, 360, 361)[:, None] % 360.0001
    norm, resp = observer_of(model.mixture_).posterior(Observed(grid))
    for k in range(len(describe(model.mixture_).names)):
        axes.plot(grid[:, 0], resp[:, k] * np.exp(norm), color=COLOURS[k], linewidth=1.4)
    axes.set_xticks([0, 90, 180, 270, 360])
    axes.tick_params(labelsize=8)
    axes.set_xlabel("hue, degrees", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
