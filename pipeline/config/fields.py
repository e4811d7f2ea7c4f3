"""Types of fields: a converter, how the value is written back, and what the JSON schema says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from pipeline.config import convert, quantities


class Section(BaseModel):
    """A part of the configuration: frozen, and no key beyond its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, value: Any) -> Any:
        return {} if value is None else value


class OrFalse:
    """Marks ``Section | Literal[False]``: ``false`` switches the whole section off."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate the section alone, so that the place of an error names no union member."""

        def validate(value: Any, inner: Callable[[Any], Any]) -> Any:
            return False if value is False else inner(value)

        def write(value: Any) -> Any:
            return False if value is False else value.model_dump(mode="json")

        return core_schema.no_info_wrap_validator_function(
            validate,
            handler.generate_schema(get_args(source)[0]),
            serialization=core_schema.plain_serializer_function_ser_schema(write),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Say that the section may be ``false``."""
        inner = {key: item for key, item in schema.items() if key != "serialization"}
        return {"anyOf": [handler(inner), {"const": False}]}


class Every(NamedTuple):
    """How often a checkpoint is written: after some seconds, or after some passes."""

    seconds: float | None
    passes: int | None


def as_list(value: Any) -> Any:
    """Take one item for a list of one."""
    return value if isinstance(value, list | tuple | dict) or value is None else [value]


def one_or_list(values: tuple[Any, ...]) -> Any:
    """Write a list of one as the item."""
    return values[0] if len(values) == 1 else list(values)


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse an item named twice, and an empty list."""
    if not values:
        raise ValueError("the list is empty; leave the key out or name an item")
    twice = [item for index, item in enumerate(values) if item in values[:index]]
    if twice:
        raise ValueError(f"{convert.show(twice[0])} is named twice; keep one")
    return values


def _run_name(value: object) -> str:
    return "{stem}" if value is None else convert.name(value)


def _every(value: object) -> Every:
    if isinstance(value, Every):
        return value
    count = quantities.passes(value)
    if count is not None:
        return Every(None, count)
    try:
        return Every(quantities.duration(value), None)
    except ValueError as error:
        raise ValueError(f'{error}; or a number of passes such as "10 passes"') from None


def _show_every(every: Every) -> str:
    if every.seconds is not None:
        return quantities.show_duration(every.seconds)
    return f"{every.passes} passes"


def _stored_seconds(value: object) -> float:
    return value if isinstance(value, float) else quantities.duration(value)


def _memory(value: object) -> int | str:
    return "auto" if value == "auto" else quantities.size(value)


def _show_memory(memory: int | str) -> str:
    return memory if isinstance(memory, str) else quantities.show_size(memory)


def _grid_values(numbers: tuple[int, ...]) -> int | list[int] | None:
    return None if not numbers else one_or_list(numbers)


def one_or_many(item: dict[str, Any]) -> WithJsonSchema:
    """Say in the JSON schema that one item stands for a list of one."""
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item}]})


def _string(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


_GRID_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            {"type": "string", "pattern": r"^\d+ *\.\. *\d+( +by +\d+)?$"},
        ],
        "examples": [8, [4, 8, 16], "2..20", "10..60 by 5"],
    }
)
_TIME = r"\d+(\.\d+)? *[smh]"

Text = Annotated[str, Field(min_length=1), BeforeValidator(convert.text)]
RunName = Annotated[str, BeforeValidator(_run_name), WithJsonSchema({"type": ["string", "null"]})]
Flag = Annotated[bool, BeforeValidator(convert.flag)]
Count = Annotated[int, Field(ge=1), BeforeValidator(convert.whole(1))]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), BeforeValidator(convert.whole(0, 2**32 - 1))]
Above = Annotated[float, Field(gt=0), BeforeValidator(convert.real(0, bounds="(]"))]
NotBelow = Annotated[float, Field(ge=0), BeforeValidator(convert.real(0))]
Share = Annotated[float, Field(gt=0, lt=1), BeforeValidator(convert.real(0, 1, bounds="()"))]
Number = Annotated[float, BeforeValidator(convert.decimal)]

Names = Annotated[
    tuple[Text, ...],
    BeforeValidator(as_list),
    AfterValidator(distinct),
    one_or_many({"type": "string"}),
    PlainSerializer(one_or_list),
]
MaybeNames = Annotated[tuple[Text, ...], BeforeValidator(as_list), one_or_many({"type": "string"})]

Components = Annotated[
    tuple[int, ...],
    BeforeValidator(quantities.grid(1)),
    PlainSerializer(_grid_values),
    _GRID_SCHEMA,
]
Copies = Annotated[
    tuple[int, ...],
    BeforeValidator(quantities.grid(0, 100)),
    PlainSerializer(_grid_values),
    _GRID_SCHEMA,
]
Seconds = Annotated[
    float,
    BeforeValidator(_stored_seconds),
    PlainSerializer(quantities.show_duration, return_type=str),
    _string(f"^{_TIME}$", "60s", "5m", "2h"),
]
Cadence = Annotated[
    Every,
    BeforeValidator(_every),
    PlainSerializer(_show_every, return_type=str),
    _string(f"^({_TIME}|\\d+ passes)$", "60s", "10 passes"),
]
Memory = Annotated[
    int | Literal["auto"],
    BeforeValidator(_memory),
    PlainSerializer(_show_memory, return_type=str),
    _string(r"^(auto|\d+(\.\d+)? *([kMGT]i?)?B)$", "auto", "16GiB", "4GB"),
]
Nanolitres = Annotated[
    float,
    BeforeValidator(quantities.volume),
    PlainSerializer(quantities.show_volume, return_type=str),
    _string(r"^\d+(\.\d+)? *[pnuµ]L$", "0.91 nL"),
]
Options = Annotated[dict[str, Any], BeforeValidator(convert.free)]
