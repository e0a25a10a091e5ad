"""The step `jinja`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from engine.errors import StepFailed
from engine.models.expression import JinjaText
from engine.models.flow import Reference, Run, TemplateReference
from engine.models.job import Json
from engine.steps import Step


class Jinja(Step, type="jinja"):
    """Renders a Jinja template, from a file or in place. A name that is not there is an error."""

    path: str | None = Field(
        None, min_length=1, description="The template's file, below TEMPLATES_PATH; a leading `templates/` is accepted."
    )
    template: JinjaText | None = Field(None, description="The template itself, instead of `path`.")
    data_key: str | None = Field(
        None,
        description="A key or dotted path of the data to show: its value is `data` in the template, "
        "and when it is an object, its keys are names of their own, before those of `_data`.",
    )
    parse: Literal["none", "json", "yaml"] = Field(
        "none", description="Reads the rendered text as `json` or `yaml`, so that the value is data and not text."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Jinja:
        if (self.path is None) == (self.template is None):
            raise ValueError("give either path (a file below TEMPLATES_PATH) or template (the text itself)")
        return self

    def run(self, run: Run) -> Json:
        text = self._render(run, self.template if self.path is None else run.template(self.path))
        return text if self.parse == "none" else self._parsed(text)

    def _render(self, run: Run, template: str | None) -> str:
        if self.data_key is None:
            return run.render(template or "")
        return run.render_with(template or "", run.lookup(self.data_key))

    def _parsed(self, text: str) -> Json:
        from engine.reading import ReadingError, read_json, read_yaml

        try:
            return read_json(text) if self.parse == "json" else read_yaml(text)
        except ReadingError as error:
            source = f"template {self.path!r}" if self.path else "the template"
            raise StepFailed(f"what {source} renders is not {self.parse.upper()}: {error}") from error

    def references(self) -> Iterator[Reference]:
        if self.path is not None:
            yield TemplateReference(self.path)
