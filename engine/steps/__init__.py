"""The step types: one file each, found by being here. This file says what a step is and how one is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic_core import PydanticCustomError

from engine.models.expression import Expressions, JqProgram, Language
from engine.models.flow import Reference, Run, StepSpec


class Step(BaseModel):
    """The options of one step type. A subclass with `type=` in its head is a step type; its docstring documents it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    registry: ClassVar[dict[str, type[Step]]] = {}

    def __init_subclass__(cls, type: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if type is not None:
            Step.registry[type] = cls

    @property
    def acts(self) -> bool:
        """Whether this changes the world outside the job; its start is then on disk before it runs."""
        return False

    def run(self, run: Run) -> Any:
        """The step's value (JSON), NOTHING, a Goto or an Exit. Raises StepFailed."""
        raise TypeError(f"{type(self).__name__} has no run")

    def references(self) -> Iterator[Reference]:
        """The documents, templates and steps that the options name in plain text."""
        return iter(())


def _pattern(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return re.compile(value)
    except re.error as error:
        raise PydanticCustomError(
            "regex", "{text} is not a regular expression: {reason}", {"text": repr(value), "reason": str(error)}
        ) from error


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Pattern = Annotated[re.Pattern[str], BeforeValidator(_pattern, json_schema_input_type=str)]
"""A regular expression, compiled when the document is checked."""

Condition = Union[str, bool, int, float, None]


class CommonKeys(BaseModel):
    """What every step may say beside its options."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: str = Field(description="The step's type, and the key of its options.")
    name: str = Field(min_length=1, description="The step's name, unique in its flow.")
    description: str | None = Field(None, description="For readers; nothing is done with it.")
    when: Annotated[
        list[Condition],
        BeforeValidator(_as_list, json_schema_input_type=Union[Condition, list[Condition]]),
        Expressions(Language.CONDITION),
    ] = Field(
        default=[], description="A Jinja expression, or a list of which all must hold. Evaluated before anything else."
    )
    result_key: str | None = Field(
        None, min_length=1, description="Where the value goes in `_data`; the step's name if absent."
    )
    ignore_errors: Annotated[list[Pattern], BeforeValidator(_as_list, json_schema_input_type=Union[str, list[str]])] = (
        Field(
            default=[], description="Regular expressions; an error whose text one of them finds does not end the flow."
        )
    )
    jq_expression: JqProgram | None = Field(None, description="A jq program applied to the value before it is stored.")
    on_error_goto: str | None = Field(None, description="The step to go on with after an error that is not ignored.")

    def spec(self) -> StepSpec:
        """The step as the runner takes it."""
        return StepSpec(
            name=self.name,
            type=self.type,
            options=getattr(self, self.type),
            result_key=self.result_key or self.name,
            description=self.description,
            when=tuple(self.when),
            ignore_errors=tuple(self.ignore_errors),
            jq_expression=self.jq_expression,
            on_error_goto=self.on_error_goto,
        )


@cache
def step_types() -> dict[str, type[Step]]:
    """Every step type by its name; imports the files of this folder."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(sorted(Step.registry.items()))


@cache
def step_reader() -> TypeAdapter[CommonKeys]:
    """Reads one step from a mapping: the common keys, `type`, and exactly one options object named after it."""
    any_step: Any = Annotated[Union[tuple(step_models().values())], Field(discriminator="type")]
    return TypeAdapter(any_step)


def step_models() -> dict[str, type[CommonKeys]]:
    """A model of the whole step for each type, by its name."""
    models: dict[str, type[CommonKeys]] = {}
    for name, options in step_types().items():
        default = Field(default_factory=options) if _may_be_left_out(options) else ...
        fields: dict[str, Any] = {"type": (Literal[name], ...), name: (options, default)}
        models[name] = create_model(f"{options.__name__}Step", __base__=CommonKeys, __doc__=options.__doc__, **fields)
    return models


def _may_be_left_out(options: type[Step]) -> bool:
    """Whether a step of this type means something without any option."""
    try:
        options.model_validate({})
    except ValidationError:
        return False
    return True


def _nested(value: Any) -> StepSpec:
    if isinstance(value, dict) and "name" not in value and isinstance(value.get("type"), str):
        value = {**value, "name": value["type"]}
    return step_reader().validate_python(value).spec()


STEP_HERE = "step"
"""The format that marks, in the JSON Schema of options, where a step stands."""

NestedStep = Annotated[
    Any,
    BeforeValidator(_nested, json_schema_input_type=Annotated[Any, Field(json_schema_extra={"format": STEP_HERE})]),
]
"""A step inside another step's options; its name may be left out. A StepSpec once it is read."""
