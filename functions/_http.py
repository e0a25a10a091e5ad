"""Turns a small function over the engine into an HTTP function; the only file that knows statuses.

```python
@operation("GET", "/api/jobs/<id>", role=Role.VIEWER)
def get_job(engine: Orchestrator, id: str) -> answers.Job:
    '''Everything about one job.'''
```
What such a function takes, it names: `engine`, parts of the path, `body` (a model of engine.models.requests), `query`
(a class of functions._queries), `change` (for the audit; who takes it writes it down), `wait` (the seconds that the
caller would wait), `once` (the caller's Idempotency-Key), `here` (the path it was asked at), `up` (what leads from
there to the API's root). What it returns goes out as JSON, of the type in engine.models.answers that its annotation
names. What it raises goes out as an error with the status of its kind. functions._answers has what else it may return.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

import flask
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchPath
from werkzeug.routing import Map, PathConverter, Rule

from engine.errors import (
    Conflict,
    DatabaseRefused,
    Denied,
    Forbidden,
    Invalid,
    NotFound,
    OctoflowError,
    SettingInvalid,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from functions import _engine
from functions._answers import Accepted, Done, Found, Outcome, Page, Redirect
from functions._asking import once_of, up_of, wait_of
from functions._audit import as_made, change_of
from functions._body import take_body
from functions._caller import address_of, is_local, token_of
from functions._json import read_object, to_bytes
from functions._query import Times, read_query, refuse_query

if TYPE_CHECKING:
    from engine.models.access import Access, Role
    from engine.models.requests import RequestBody
    from engine.orchestrator import Orchestrator

HttpFunction = Callable[[flask.Request], flask.Response]

STATUS: dict[type[OctoflowError], int] = {
    NotFound: 404,
    Conflict: 409,
    Invalid: 400,
    TooLarge: 413,
    SettingInvalid: 503,
    DatabaseRefused: 503,
    Denied: 403,
    Unauthenticated: 401,
    Unavailable: 503,
}
"""A leaf that is not here has the status of its kind."""

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Operation:
    """One thing a user can ask; `role` is what it takes, None for everybody.

    `errors` are the leaves it raises beside those that any operation of its kind may.
    One for everybody may have `may_know`, the role that lets a caller see more there: it then gets `engine` as such a
    caller's token reaches it, and None where no token was sent or one of another role.
    """

    method: str
    path: str
    role: Role | None
    status: int
    function: Callable[..., Outcome]
    errors: tuple[type[OctoflowError], ...] = ()
    media: tuple[str, ...] = ("application/json",)
    may_know: Role | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it is reached: `/api/v1/...` is another name of `/api/...`."""
        is_versioned = self.path.startswith("/api/")
        return (self.path, "/api/v1/" + self.path.removeprefix("/api/")) if is_versioned else (self.path,)

    @property
    def takes_engine(self) -> bool:
        return self.may_know is None and (self.role is not None or self.takes("engine"))

    @property
    def is_change(self) -> bool:
        """Whether the audit tells of it: all that is no GET, but what a viewer or a clock may do changes nothing."""
        return self.method != "GET" and self.role not in (None, "viewer", "tick")

    def takes(self, name: str) -> bool:
        """Whether its function names this."""
        return name in self.function.__annotations__

    @cached_property
    def body_model(self) -> type[RequestBody] | None:
        """Found at the first request that brings one: pydantic is dear at a cold start."""
        name = self.function.__annotations__.get("body")
        if name is None:
            return None
        from engine.models import requests

        model: type[RequestBody] = getattr(requests, name)
        return model

    @cached_property
    def query_type(self) -> type[Any] | None:
        """Found at the first request, as the body's model is."""
        name = self.function.__annotations__.get("query")
        if name is None:
            return None
        from functions import _queries

        return cast("type[Any]", getattr(_queries, name))

    @cached_property
    def routes(self) -> Map:
        """The routes of this operation alone."""
        return route([self])


OPERATIONS: list[Operation] = []
"""Every operation, in the order in which they were defined."""


def operation(
    method: str,
    path: str,
    *,
    role: Role | None,
    status: int = 200,
    errors: Iterable[type[OctoflowError]] = (),
    media: Iterable[str] = ("application/json",),
    may_know: Role | None = None,
) -> Callable[[Callable[..., Outcome]], HttpFunction]:
    """Make this an operation of the API, and a functions-framework target of its own that answers at its full path."""

    def decorate(function: Callable[..., Outcome]) -> HttpFunction:
        made = Operation(method, path, role, status, function, tuple(errors), tuple(media), may_know)
        OPERATIONS.append(made)

        def target(request: flask.Request) -> flask.Response:
            return serve(request, made.routes)

        target.__name__ = target.__qualname__ = function.__name__
        target.__module__, target.__doc__ = function.__module__, function.__doc__
        return target

    return decorate


class DocumentConverter(PathConverter):
    """A document's path, slashes included; what ends in `/launch` is the address of a launch, whatever the method."""

    regex = r"[^/].*?(?<!/launch)(?<!/launch/)"


class Route(Rule):
    """A rule that matches paths and builds none: compiling the code for that is nine tenths of what a rule costs."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return lambda *_values, **_more: ("", "")


@cache
def every_route() -> Map:
    """The routes of all operations together."""
    return route(OPERATIONS)


def route(operations: Iterable[Operation]) -> Map:
    """Which path and method lead to which operation. No redirects: `/api/jobs/` is `/api/jobs`.

    Not where something is deleted: there the name after the slash may have been forgotten, and all are not meant.
    """
    rules = [
        Route(form, methods=[each.method], endpoint=each, strict_slashes=each.method == "DELETE")
        for each in operations
        for path in each.paths
        for form in _forms(path)
    ]
    return Map(rules, strict_slashes=False, merge_slashes=False, converters={"document": DocumentConverter})


def _forms(path: str) -> tuple[str, ...]:
    """The path, and with a slash at its end where the routes do not see one: after a name that has slashes itself."""
    return (path, f"{path}/") if path.endswith(">/launch") else (path,)


def serve(request: flask.Request, routes: Map) -> flask.Response:
    """The answer to this request, whatever happens."""
    body = take_body(request.environ)
    try:
        response = _answer(request, routes)
    except MethodNotAllowed as error:
        allowed = ", ".join(sorted(_methods_at(request.path, routes) or error.valid_methods or ()))
        message = f"{request.method} is not possible at {request.path[:200]}; {allowed} is."
        response = _respond({"error": message, "code": "method_not_allowed"}, 405, {"Allow": allowed})
    except NoSuchPath:
        message = f"There is nothing at {request.path[:200]}; what there is, `/api/docs/` shows."
        response = _respond({"error": message, "code": "not_found"}, 404)
    except OctoflowError as error:
        response = _refuse(error)
        if isinstance(error, Denied):
            log.info("%s %r from %s is refused: %s", request.method, request.path[:200], address_of(request), error)
    except Exception:
        id = secrets.token_hex(6)
        log.exception("%s %r failed (%s)", request.method, request.path[:200], id)
        message = f"Something went wrong here; the service log has it under {id}."
        response = _respond({"error": message, "code": "internal"}, 500)
    if not body.discard():
        response.headers["Connection"] = "close"
    _engine.PROCESS.start_soon()
    return response


def serve_nothing(error: Exception) -> flask.Response:
    """The answer where there is nothing."""
    return serve(flask.request, Map())


def status_of(error: OctoflowError) -> int:
    """The status of the error's leaf, or else of its kind."""
    return status_of_leaf(type(error))


def status_of_leaf(leaf: type[OctoflowError]) -> int:
    """The same for the leaf itself."""
    return next((STATUS[cls] for cls in leaf.__mro__ if cls in STATUS), 500)


def _answer(request: flask.Request, routes: Map) -> flask.Response:
    chosen, arguments = routes.bind("").match(request.path, request.method)
    if any("\0" in str(value) for value in arguments.values()):
        raise NoSuchPath
    more: dict[str, str] = {}
    match _outcome(request, chosen, arguments, more):
        case Done() | Accepted() as done:
            return _respond(done.value, done.status, {**done.headers, **more})
        case Page(content, media_type, headers):
            return _tagged(flask.Response(content, headers={**HEADERS, **headers}, content_type=media_type), request)
        case Found(value):
            return _tagged(_respond(value, chosen.status, {"Cache-Control": "private, no-cache"}), request)
        case Redirect(place):
            return flask.Response(status=308, headers={**HEADERS, "Location": place})
        case value:
            return _respond(value, chosen.status, more)


def _tagged(response: flask.Response, request: flask.Request) -> flask.Response:
    """The response with its ETag; 304 and nothing more to who has it already."""
    response.add_etag()
    response.make_conditional(request)
    return response


def _outcome(
    request: flask.Request, chosen: Operation, arguments: Mapping[str, str], headers: dict[str, str]
) -> Outcome:
    """What the operation returns to those who may ask for it; `headers` are added to those of the answer."""
    if not chosen.takes_engine:
        here: dict[str, Any] = {"here": request.path} if chosen.takes("here") else {}
        if chosen.may_know is not None:
            here["engine"] = _engine_known_to(request, chosen.may_know)
        return chosen.function(**arguments, **here)
    engine = _engine.PROCESS.get()
    access = _admit(request, engine, chosen.role)
    reached = _reached(engine, access)
    inputs = _inputs(request, reached, chosen)
    if access is None or not chosen.is_change:
        return chosen.function(**arguments, **inputs)
    change = change_of(chosen.name, access, request, arguments, inputs.get("body"))
    if chosen.takes("change"):
        inputs["change"] = change
    if seconds := inputs.get("wait"):
        headers["Preference-Applied"] = f"wait={seconds}"
    if chosen.takes("once"):
        inputs["once"] = once_of(request, access, [chosen.name, {**arguments, **request.args}], inputs.get("body"))
    outcome = chosen.function(**arguments, **inputs)
    if (once := inputs.get("once")) is not None and once.is_repeat:
        headers["Idempotent-Replayed"] = "true"
    elif not chosen.takes("change"):
        made = outcome.value if isinstance(outcome, Done | Accepted) else outcome
        engine.record(as_made(change, made if isinstance(made, Mapping) else {}))
    return outcome


def _methods_at(path: str, routes: Map) -> set[str]:
    """What is possible at just this path, where others would take its last part for an id."""
    return {method for rule in routes.iter_rules() if rule.rule == path for method in rule.methods or ()}


def _admit(request: flask.Request, engine: Orchestrator, needed: Role | None) -> Access | None:
    """What the caller's token opens, which must be enough; None where nothing is asked for."""
    if needed is None:
        return None
    access = engine.is_allowed(token_of(request), lambda: is_local(request))
    if not access.role.reaches(needed):
        raise Forbidden(f"This needs the role {needed}, and the key {access.name!r} has the role {access.role}.")
    return access


def _engine_known_to(request: flask.Request, needed: Role) -> Orchestrator | None:
    """The engine as the caller's token reaches it; None without one, or with one of a lesser role."""
    if not request.headers.get("Authorization"):
        return None
    engine = _engine.PROCESS.get()
    access = engine.is_allowed(token_of(request), lambda: is_local(request))
    return _reached(engine, access) if access.role.reaches(needed) else None


def _reached(engine: Orchestrator, access: Access | None) -> Orchestrator:
    """The engine, or as much of it as a limited key reaches."""
    return engine if access is None or access.flows is None else engine.limited_to(access.flows)


def _inputs(request: flask.Request, engine: Orchestrator, chosen: Operation) -> dict[str, Any]:
    """What the function takes beside the parts of its path."""
    inputs: dict[str, Any] = {"engine": engine} if chosen.takes("engine") else {}
    if chosen.query_type is not None:
        times = Times(engine.settings.timezone, lambda: engine.clock.now())
        inputs["query"] = read_query(chosen.query_type, request.args, times)
    elif chosen.role is not None:
        refuse_query(request.args)
    if chosen.body_model is not None:
        text = take_body(request.environ).read(engine.settings.max_content_length)
        inputs["body"] = chosen.body_model.read(read_object(text))
    if chosen.takes("wait"):
        inputs["wait"] = wait_of(request)
    if chosen.takes("up"):
        inputs["up"] = up_of(request)
    return inputs


def _respond(value: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> flask.Response:
    return flask.Response(
        to_bytes(value), status, headers={**HEADERS, **(headers or {})}, content_type="application/json"
    )


def _refuse(error: OctoflowError) -> flask.Response:
    status = status_of(error)
    value = {**error.fields, "error": str(error), "code": error.code}
    if error.details:
        value["details"] = error.details
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(status)
    return _respond(value, status, headers)
