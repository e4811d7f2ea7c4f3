"""The grid of one fit that droplets ask for."""

from __future__ import annotations

from gmm_dask import Droplets, Grid, RowShare
from pipeline.config import Config


def law_of_droplets(config: Config) -> Droplets:
    """Return the law that a configuration asks for, targets in the order of the columns."""
    model, columns = config.model, config.source.columns or ()
    copies = model.copies or {}
    levels = tuple(copies[column][-1] for column in columns)
    return Droplets(levels, model.weight_tail or "lumped", model.linkage or "free")


def droplet_grid(config: Config, rows: RowShare | None) -> Grid:
    """Return a grid of one fit: its start is made of the grid of copies, and is the only one."""
    model, law = config.model, law_of_droplets(config)
    return Grid(
        (law.n_components,),
        model.covariance_type,
        1,
        tol=model.tol,
        max_iter=model.max_iter,
        reg_covar=model.reg_covar,
        seed=model.random_state,
        rows=rows,
        law=law,
    )
