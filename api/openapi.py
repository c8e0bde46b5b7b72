"""The OpenAPI document, made of the route table and the code behind it: nothing is written twice.

Parameters and bodies are read off the handlers' calls (`call.body(Shape)`, `call.flag("name")`, …), also in helpers of
the same module that take the call; answers off their annotations. What cannot be read is described as any JSON.
"""

import ast
import asyncio
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from api.call import PER_PAGE_MAX, Call
from api.errors import ErrorBody
from api.routing import PREFIX, ROUTES, Created, Raw, Route, Stream, route
from tidewire.actions.config import API_VERSION

_REFERENCES = "#/components/schemas/{name}"
_ID = "^[A-Za-z0-9]{26}$"
_NAMED: dict[str, dict[str, Any]] = {
    "query": {"type": "string"},
    "flag": {"type": "boolean"},
    "number": {"type": "integer", "minimum": 0},
}
_PAGING = {
    "page": {"type": "integer", "minimum": 0, "maximum": 10**6},
    "per_page": {"type": "integer", "minimum": 0, "maximum": PER_PAGE_MAX},
}
_STATUS = {
    "type": "object",
    "properties": {"status": {"type": "string"}},
    "required": ["status"],
}
_ERRORS = {
    400: "The request is wrong.",
    401: "No session, or one that is over.",
    403: "The caller may not.",
    404: "It is not there.",
    413: "The body is too large.",
    414: "The URL is too long.",
    429: "Too many attempts.",
    501: "Not offered by this server.",
    503: "A service behind this one does not answer; Retry-After says when to ask again.",
}


class _Reading:
    """What one handler asks of its call. bodies: shapes; queries: name → schema."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.queries: dict[str, dict[str, Any]] = {}
        self.etag = False
        self.moved = False  # answers with 302
        self.answers: list[Any] = []  # types inside Created(…)
        self.plain_ok = False
        self._seen: set[Any] = set()

    def read(self, function: Any) -> None:
        """Read a function that takes a call, and those of its module that it passes the call to."""
        if function in self._seen:
            return
        self._seen.add(function)
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        space = function.__globals__
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                self._read_call(node, tree, space)
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id == "OK":
                self.plain_ok = True

    def _read_call(self, node: ast.Call, tree: ast.AST, space: dict[str, Any]) -> None:
        called = node.func
        if (
            isinstance(called, ast.Attribute)
            and isinstance(called.value, ast.Name)
            and called.value.id == "call"
        ):
            self._read_method(called.attr, node.args, tree, space)
        elif isinstance(called, ast.Name):
            target = space.get(called.id)
            if target is Created and node.args:
                self.answers.append(_type_of(_assigned(node.args[0], tree), space))
            elif target is Raw:
                self.moved |= any(isinstance(arg, ast.Constant) and arg.value == 302 for arg in node.args)
            elif inspect.isfunction(target) and target.__globals__ is space and _takes_call(node):
                self.read(target)

    def _read_method(self, method: str, args: list[ast.expr], tree: ast.AST, space: dict[str, Any]) -> None:
        if method == "body":
            self.bodies.append(_evaluate(args[0], space))
        elif method == "id_list":
            self.bodies.append(list[str])
        elif method == "not_modified":
            self.etag = True
        elif method == "paging":
            self.queries.update(_PAGING)
        elif method in _NAMED:
            self.queries.update(dict.fromkeys(_constants(args[0], tree), _NAMED[method]))


def _takes_call(node: ast.Call) -> bool:
    return any(isinstance(arg, ast.Name) and arg.id == "call" for arg in node.args)


def _evaluate(node: ast.expr, space: dict[str, Any]) -> Any:
    """Return what an expression of names and subscripts stands for; Any for a local variable."""
    try:
        return eval(compile(ast.Expression(node), "handler", "eval"), space)  # noqa: S307 (our own source)
    except NameError:
        return Any


def _assigned(node: ast.expr, tree: ast.AST) -> ast.expr:
    """Return what was assigned to a local variable, else the expression itself."""
    if isinstance(node, ast.Name):
        for other in ast.walk(tree):
            if isinstance(other, ast.Assign) and ast.dump(other.targets[0]) == ast.dump(ast.Name(node.id, ast.Store())):
                return other.value
    return node


def _type_of(node: ast.expr, space: dict[str, Any]) -> Any:
    """Return the type of `await action(…)`, Any for anything else."""
    if isinstance(node, ast.Await):
        node = node.value
    if not isinstance(node, ast.Call):
        return Any
    function = _evaluate(node.func, space)
    return _returned(function) if inspect.isfunction(function) else Any


def _constants(node: ast.expr, tree: ast.AST) -> Iterator[str]:
    """Yield the names that an argument can be: itself, or what a loop over a literal gives it."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.Name):
        for loop in ast.walk(tree):
            if (
                isinstance(loop, ast.comprehension | ast.For)
                and isinstance(loop.target, ast.Name)
                and loop.target.id == node.id
                and isinstance(loop.iter, ast.Tuple | ast.List)
            ):
                yield from (str(one.value) for one in loop.iter.elts if isinstance(one, ast.Constant))


def _returned(function: Any) -> Any:
    try:
        return get_type_hints(function).get("return", Any)
    except NameError:  # an import for type checkers only
        return Any


def _parts(kind: Any) -> list[Any]:
    return list(get_args(kind)) if get_origin(kind) in (Union, UnionType) else [kind]


def _answer(one: Route, reading: _Reading) -> tuple[int, Any, str]:
    """Return (status, type or ready schema, media type) of the usual answer."""
    kinds = _parts(_returned(one.handler))
    if Created in kinds:
        found = reading.answers
        return 201, found[0] if len(found) == 1 else Any, "application/json"
    json = [kind for kind in kinds if kind not in (Raw, Stream, bytes, type(None))]
    if json:
        return 200, Union[tuple(json)], "application/json"  # noqa: UP007 (made at run time)
    if bytes in kinds and reading.plain_ok:
        return 200, _STATUS, "application/json"
    return 200, Any, "application/json" if bytes in kinds else "*/*"


def _parameters(one: Route, reading: _Reading) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in re.findall(r"{(\w+)}", one.path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 200}
        if name.endswith("_id") and name != "category_id":  # built-in categories have longer ones
            schema = {"type": "string", "pattern": "^(me|[A-Za-z0-9]{26})$" if name == "user_id" else _ID}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    found += [
        {"name": name, "in": "query", "schema": schema} for name, schema in sorted(reading.queries.items())
    ]
    return found


@cache
def document() -> bytes:
    """Return the document, JSON. Takes some 0.2 s the first time."""
    readings: dict[tuple[str, str], _Reading] = {}
    shapes: list[Any] = [ErrorBody]
    for key, one in ROUTES.items():
        reading = readings[key] = _Reading()
        reading.read(inspect.unwrap(one.handler))
        shapes += [part for body in reading.bodies for part in _parts(body)]
        answer = _answer(one, reading)[1]
        shapes += [] if isinstance(answer, dict) else _parts(answer)
    schemas, components = msgspec.json.schema_components(
        shapes, schema_hook=lambda kind: {"description": "Any JSON."}, ref_template=_REFERENCES
    )
    by_shape = list(zip(shapes, schemas, strict=True))

    def schema_of(shape: Any) -> dict[str, Any]:
        if isinstance(shape, dict):
            return shape
        found = [next(schema for known, schema in by_shape if known == part) for part in _parts(shape)]
        return found[0] if len(found) == 1 else {"anyOf": found}

    paths: dict[str, dict[str, Any]] = {}
    for (method, path), one in ROUTES.items():
        if path != "/openapi.json":
            paths.setdefault(PREFIX + path, {})[method.lower()] = _operation(
                one, readings[method, path], schema_of
            )
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Tidewire, Mattermost API v4", "version": API_VERSION},
            "security": [{"bearer": []}],
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _operation(one: Route, reading: _Reading, schema_of: Any) -> dict[str, Any]:
    status, answer, media = _answer(one, reading)
    error = {"application/json": {"schema": schema_of(ErrorBody)}}
    text = {"text/plain": {"schema": {"type": "string"}}}
    responses: dict[str, Any] = {
        str(status): {"description": "Done.", "content": {media: {"schema": schema_of(answer)}}}
    }
    if reading.etag:
        responses["304"] = {"description": "The client has it."}
    if reading.moved:
        responses["302"] = {"description": "It is elsewhere."}
    for code, words in _ERRORS.items():
        responses[str(code)] = {"description": words, "content": text if code == 429 else error}
    made: dict[str, Any] = {
        "operationId": one.method.lower() + re.sub(r"\W+", "_", one.path).rstrip("_"),
        "tags": [one.path.split("/")[1]],
        "summary": (inspect.getdoc(one.handler) or "").partition("\n")[0],
        "parameters": _parameters(one, reading),
        "responses": responses,
    }
    if not one.session:
        made["security"] = []
    if reading.bodies:
        content = {"application/json": {"schema": schema_of(reading.bodies[0])}}
        made["requestBody"] = {"required": True, "content": content}
    return made


@route("GET", "/openapi.json", session=False)
async def openapi(call: Call) -> Raw:
    """This document."""
    return Raw(await asyncio.to_thread(document), "application/json")
