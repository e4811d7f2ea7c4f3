"""A palette drawn from the colours of an image: ``python scripts/examples/palette.py [image]``.

Without an image, scikit-learn's picture of a flower. Writes ``palette.svg``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from gmm_dask import fit_many
from pipeline.stages.colours import palette, to_hsv

SIZE, COLUMNS, COUNT = 36, 12, 36


def pixels(path: str | None) -> np.ndarray:
    """Return every 37th pixel of an image, red, green and blue (n, 3) from 0 to 1."""
    if path is None:
        from sklearn.datasets import load_sample_image

        image = load_sample_image("flower.jpg") / 255.0
    else:
        from matplotlib.image import imread

        image = imread(path)
        image = image / 255.0 if image.dtype.kind == "u" else image
    return np.asarray(image, dtype=float)[..., :3].reshape(-1, 3)[::37]


def main(path: str | None) -> None:
    """Fit hue, saturation and value, and write the colours of a sample."""
    X = to_hsv(pixels(path))
    X = X[~np.isnan(X[:, 1])]  # black has no saturation
    found = fit_many(
        X, range(2, 9), "diag", circular={0: 360}, missing="marginalize", random_state=0
    )
    model = found.best
    print(f"{model.n_components} components")
    for weight, mean in zip(model.weights_, model.means_, strict=True):
        print(f"{weight:6.1%}  hue {mean[0]:5.1f}  saturation {mean[1]:.2f}  value {mean[2]:.2f}")
    squares = [
        f'<rect x="{SIZE * (i % COLUMNS)}" y="{SIZE * (i // COLUMNS)}" width="{SIZE}" '
        f'height="{SIZE}" fill="rgb({",".join(str(round(255 * part)) for part in rgb)})"/>'
        for i, rgb in enumerate(palette(model, COUNT))
    ]
    box = f"{SIZE * COLUMNS} {SIZE * (COUNT // COLUMNS)}"
    body = "\n".join(squares)
    text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {box}">\n{body}\n</svg>\n'
    Path("palette.svg").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
