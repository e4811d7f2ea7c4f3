"""The YAML file: read without guessing, validated by line and key, every default filled in."""

from __future__ import annotations

from gmm_dask import ConfigError
from pipeline.config.cluster_rules import check_connection
from pipeline.config.column_rules import names_after
from pipeline.config.data_sections import NoiseSection, RunSection, SourceSection, Step
from pipeline.config.fields import Every
from pipeline.config.identity import difference
from pipeline.config.load import from_resolved, load, loads
from pipeline.config.model_sections import ModelSection, SelectSection
from pipeline.config.run_sections import (
    CheckpointSection,
    ClusterSection,
    DiagnoseSection,
    OutputSection,
    ReportSection,
    SecuritySection,
    WriteBack,
)
from pipeline.config.schema import Config
from pipeline.config.secrecy import mask_address, mask_text, reveal

__all__ = [
    "CheckpointSection",
    "ClusterSection",
    "Config",
    "ConfigError",
    "DiagnoseSection",
    "Every",
    "ModelSection",
    "NoiseSection",
    "OutputSection",
    "ReportSection",
    "RunSection",
    "SecuritySection",
    "SelectSection",
    "SourceSection",
    "Step",
    "WriteBack",
    "check_connection",
    "difference",
    "from_resolved",
    "load",
    "loads",
    "mask_address",
    "mask_text",
    "names_after",
    "reveal",
]
