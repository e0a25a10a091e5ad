"""The step `rest`: what a document says, and the request that it comes to. How requests are sent is in `exchange`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from engine.errors import StepFailed
from engine.models.expression import Expressions, JinjaText, Language
from engine.models.flow import Run
from engine.models.job import Json
from engine.steps import Step
from engine.steps.rest.content import rendered_body, text_of
from engine.steps.rest.request import Credential, Request

Method = Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]


AnyCase = Method | str
"""What an editor may complete, and what it must not complain of."""


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _mapping(value: Any) -> Any:
    """A mapping may be written as a JSON text; one that holds Jinja is read when it is rendered."""
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return value
    try:
        read = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"must be an object, or a text that is one in JSON ({error})") from error
    if not isinstance(read, dict):
        raise ValueError("must be an object, or a text that is one in JSON")
    return read


Mapping = Annotated[dict[str, Any] | str, BeforeValidator(_mapping), Expressions(Language.VALUE)]


def _read_first(body: Json) -> tuple[Json, bool]:
    """What is to be rendered, and whether it is data: a text that is JSON is read before values get into it."""
    from engine.reading import ReadingError, read_json

    if not isinstance(body, str):
        return body, True
    try:
        return read_json(body), True
    except ReadingError:
        return body, False


def _rendered_body(body: Json) -> Json:
    return _read_first(body)[0]


class Authentication(BaseModel):
    """How a request says who it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: Literal["basic", "token", "api-key", "api_key"] = Field(
        description="`basic`: username and password. `token`: a token in the header Authorization. "
        "`api-key`: a header of its own, with the secret's key as name."
    )
    secret: str = Field(min_length=1, description="The name of the secret, which must have what the type needs.")
    bearer: str = Field("Bearer", description="What stands before the token in the header.")

    def header(self, secret: dict[str, str]) -> tuple[str, str]:
        """The header's name and value; StepFailed names a secret that does not fit and what it lacks."""
        match self.type:
            case "basic":
                from base64 import b64encode

                username, password = self._fields(secret, "username", "password")
                return "Authorization", f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"
            case "token":
                (token,) = self._fields(secret, "token")
                return "Authorization", f"{self.bearer} {token}".strip()
        key, value = self._fields(secret, "key", "value")
        return key, value

    def _fields(self, secret: dict[str, str], *names: str) -> list[str]:
        lacking = [name for name in names if not isinstance(secret.get(name), str)]
        if lacking:
            kind = f"secret {self.secret!r} (type {secret.get('type', 'unknown')})"
            raise StepFailed(f"{kind} has no {' and no '.join(lacking)}, which authentication {self.type!r} needs")
        return [secret[name] for name in names]


class Rest(Step, type="rest"):
    """Calls a REST API. The value is the answer's JSON, its text when it is no JSON, null when it is empty.

    An answer that is not 2xx is an error with its status and the beginning of its body.
    """

    uri: JinjaText = Field(min_length=1, description="The address (Jinja), http or https.")
    method: Annotated[Method, BeforeValidator(_upper, json_schema_input_type=AnyCase)] = Field(
        "GET", description="The method, in any case."
    )
    headers: Mapping = Field({}, description="Headers (Jinja in the values); one whose value is null is not sent.")
    query: Mapping = Field(
        {},
        description="Query parameters (Jinja in the values), added to those of the uri. A list repeats its name, "
        "null is left out.",
    )
    body: Annotated[Any, Expressions(Language.VALUE, _rendered_body)] = Field(
        None,
        description="An object or list, with Jinja in its strings, is sent as JSON, or as a form when Content-Type "
        "says so. A text that is JSON is read before it is rendered, so that no value can break it; any other text "
        "is rendered and sent.",
    )
    data_key: str | None = Field(
        None,
        description="Sends data as it is instead of `body`: a key, a dotted path, or `.` for the whole of `_data`.",
    )
    authentication: Authentication | None = Field(
        None,
        description="Who the request comes from. After a 401 the secret is read anew, and the request sent once more "
        "if it has changed.",
    )
    verify: bool = Field(
        True, description="Whether the peer's TLS certificate is verified; it is logged when it is not."
    )
    timeout_seconds: float = Field(
        30, gt=0, le=86_400, description="How long the call may take, from connecting to the last byte."
    )
    follow_redirects: bool = Field(
        False, description="Whether redirects are followed, at most five. Credentials never go to another host."
    )
    parse: Literal["auto", "json", "text"] = Field(
        "auto",
        description="`auto`: JSON when the answer's Content-Type says so, else text. `json`, `text`: whatever it says.",
    )

    @property
    def acts(self) -> bool:
        return True

    def run(self, run: Run) -> Json:
        from engine.steps.rest.answer import value_of
        from engine.steps.rest.exchange import Bounds, exchange

        request = self._request(run)
        if not self.verify and request.uri.startswith("https"):
            run.log("warning", f"the TLS certificate of {request.host} is not verified (verify: false)")
        bounds = Bounds.of(min(self.timeout_seconds, run.remaining_seconds()), run.max_response_bytes)
        answer = exchange(run.http(), request, bounds, verify=self.verify, follow=self.follow_redirects)
        if answer.status == 401 and answer.hops == 0:  # The peer did nothing, whatever the method.
            again = self._renewed(run, request)
            if again is not None and not bounds.is_over:
                run.log(
                    "info", f"{request.host} answered 401; the secret has changed, so the request is sent once more"
                )
                answer = exchange(run.http(), again, bounds, verify=self.verify, follow=self.follow_redirects)
        return value_of(answer, request, self.parse)

    def _renewed(self, run: Run, request: Request) -> Request | None:
        """The request with its secret read anew; None when that is the same, cannot be had, or there is none."""
        if request.credential is None:
            return None
        try:
            again = self._signed(run, request, fresh=True)
        except StepFailed as error:
            run.log("warning", f"{request.host} answered 401, and {error}")
            return None
        return None if again.headers == request.headers else again

    def _request(self, run: Run) -> Request:
        headers = {name: text_of(value) for name, value in self._rendered(run, "headers").items() if value is not None}
        body, content_type = self._body(run, headers)
        given = {name.lower() for name in headers}
        if content_type is not None and "content-type" not in given:
            headers["Content-Type"] = content_type
        return self._signed(run, Request(self.method, self._uri(run), headers, body))

    def _signed(self, run: Run, request: Request, *, fresh: bool = False) -> Request:
        """The request with the header that says who it comes from, in the place of one that says so already."""
        if self.authentication is None:
            return request
        secret = run.secret(self.authentication.secret, fresh=fresh)
        name, value = self.authentication.header(secret)
        replaced = {name.lower(), request.credential.header.lower() if request.credential else ""}
        headers = {key: kept for key, kept in request.headers.items() if key.lower() not in replaced} | {name: value}
        return replace(
            request, headers=headers, credential=Credential(self.authentication.secret, name, secret.get("hosts"))
        )

    def _uri(self, run: Run) -> str:
        uri = run.render(self.uri).strip()
        pairs = [(name, item) for name, value in self._rendered(run, "query").items() for item in _items(value)]
        if not pairs:
            return uri
        parts = urlsplit(uri)
        added = urlencode(pairs, quote_via=quote)
        return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))

    def _rendered(self, run: Run, option: str) -> dict[str, Json]:
        value = run.render_value(getattr(self, option))
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise StepFailed(f"{option} is rendered to what is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise StepFailed(f"{option} must be an object, and is rendered to something else")
        return value

    def _body(self, run: Run, headers: dict[str, str]) -> tuple[bytes | None, str | None]:
        """The bytes to send, and the Content-Type they have unless another is given."""
        given = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
        if self.data_key is not None:
            value = run.lookup(self.data_key)
            return rendered_body(value, given, as_data=not isinstance(value, str))
        if self.body is None:
            return None, None
        source, as_data = _read_first(self.body)
        value = run.render_value(source)
        return rendered_body(value, given, as_data=as_data or not isinstance(value, str))


def _items(value: Json) -> list[str]:
    """A query parameter's values: a list repeats it, null leaves it out."""
    values = value if isinstance(value, list) else [value]
    return [text_of(item) for item in values if item is not None]
