"""The UMAP panel of an AnnData source, where the file holds one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gmm_dask import ConfigError, DataError, Engine, Sample
from pipeline.config import Config
from pipeline.report.panels import Embedding
from pipeline.run.asked import spec_of
from pipeline.run.fitting import Fitted
from pipeline.sources import open_table
from pipeline.stages.embedding import EmbeddingCounts, medians
from pipeline.stages.figures import edges_of

KEY = "obsm/X_umap"
SAMPLE = 8192
# More components than this would make one histogram each too large to carry.
MOST_COMPONENTS = 200


def embedding_of(config: Config, fitted: Fitted, engine: Engine, scratch: Path) -> Embedding | None:
    """Return the map of ``obsm/X_umap``, or None where the source has none of two columns."""
    mixture = fitted.candidate.mixture
    if fitted.table.described.get("format") != "anndata" or mixture.n_components > MOST_COMPONENTS:
        return None
    places_only = replace(spec_of(config), key=KEY, columns=None, noise=None, sample_weight=None)
    spec = replace(places_only, id=(), carry=(), units={})
    try:
        places = open_table(spec, scratch).ingest()
    except (ConfigError, DataError):  # most files hold no UMAP: nothing to show, nothing wrong
        return None
    if len(places.columns) != 2 or places.n_rows != fitted.table.n_rows:
        return None
    sample = engine.fold(Sample(SAMPLE, 2, 0), places).values
    x_edges, y_edges = edges_of(sample[:, 0]), edges_of(sample[:, 1])
    through, layout = fitted.transform, fitted.layout
    fold = EmbeddingCounts(mixture, through, places, x_edges, y_edges, layout)
    counts = engine.fold(fold, fitted.table)
    return Embedding(
        name=KEY,
        x_edges=x_edges,
        y_edges=y_edges,
        counts=counts.sum(axis=0),
        medians=medians(counts, x_edges, y_edges),
    )
