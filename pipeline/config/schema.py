"""The whole configuration as one frozen value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from pipeline.config import secrecy
from pipeline.config.convert import whole
from pipeline.config.data_sections import RunSection, SourceSection, Step
from pipeline.config.fields import OrFalse, Section
from pipeline.config.model_sections import ModelSection, SelectSection
from pipeline.config.run_sections import (
    CheckpointSection,
    ClusterSection,
    DiagnoseSection,
    OutputSection,
    ReportSection,
    SampleSection,
)

VERSION = 1

# They change neither the model at convergence nor the rows it is fitted to.
_NOT_IDENTITY = {"source": {"storage_options"}, "model": {"tol", "max_iter"}}
# Sections that need no key: what they hold when empty is shown in the JSON schema.
_DEFAULTED: tuple[type[Section], ...] = (
    *(RunSection, ModelSection, SelectSection, CheckpointSection),
    *(ClusterSection, OutputSection, SampleSection, ReportSection, DiagnoseSection),
)


class Config(Section):
    """A pipeline: rows in, a fitted, checkpointed, reported mixture out.

    ``load`` and ``loads`` make it; every default is filled in, names and folders are substituted.
    """

    version: Annotated[int, BeforeValidator(whole(1, VERSION))] = VERSION
    """Version of this schema."""
    run: RunSection = RunSection()
    source: SourceSection
    transform: tuple[Step, ...] = ()
    """Steps applied to the columns in order: standardize, log, arcsinh, pca, rgb_to_hsv."""
    model: ModelSection
    select: SelectSection = SelectSection()
    checkpoint: CheckpointSection = CheckpointSection()
    cluster: ClusterSection = ClusterSection()
    output: Annotated[OutputSection | Literal[False], OrFalse()] = OutputSection()
    sample: Annotated[SampleSection | Literal[False], OrFalse()] = False
    report: Annotated[ReportSection | Literal[False], OrFalse()] = ReportSection()
    diagnose: Annotated[DiagnoseSection | Literal[False], OrFalse()] = DiagnoseSection()

    @model_validator(mode="before")
    @classmethod
    def _required_sections(cls, value: Any) -> Any:
        # An absent section is an empty one, so that the message names the missing key in it.
        return {"source": {}, "model": {}, **value} if isinstance(value, dict) else value

    def resolved(self) -> dict[str, Any]:
        """Give the configuration with every default, ready for JSON and without secrets.

        The result is read back by ``from_resolved``. Values of ``source.storage_options`` other
        than ``env:NAME`` and credentials inside addresses are masked.
        """
        value = self.model_dump(mode="json")
        options = value["source"]["storage_options"]
        value["source"]["storage_options"] = secrecy.mask_all(options)
        value["cluster"]["options"] = secrecy.mask_named(value["cluster"]["options"])
        masked: dict[str, Any] = secrecy.mask_addresses(value)
        return masked

    def identity(self) -> dict[str, Any]:
        """Give only the keys that decide the model; runs that share them may share checkpoints."""
        whole_ = self.resolved()
        kept: dict[str, Any] = {"transform": whole_["transform"]}
        for section, left_out in _NOT_IDENTITY.items():
            items = whole_[section].items()
            kept[section] = {key: item for key, item in items if key not in left_out}
        if self.select.criterion == "held_out":
            kept["select"] = {"held_out": self.select.held_out}
        if self.select.criterion == "stability":  # then every restart runs to its end
            kept["select"] = {"criterion": "stability"}
        return kept

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Give the JSON schema of the file, for editors."""
        schema = cls.model_json_schema()
        schema["required"] = ["source", "model"]
        for section in _DEFAULTED:
            written = section().model_dump(mode="json")
            properties = schema["$defs"][section.__name__]["properties"]
            for key, field in section.model_fields.items():
                properties[key]["default"] = written[key]
                if written[key] is None and field.default is not None:
                    del properties[key]["default"]
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
