"""Requests made from an OpenAPI schema: one that should succeed, and the places in it where an id can stand."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
Place: TypeAlias = tuple[str | int, ...]
"""Where something stands in a request, such as `("body", "files", 0, "id")`."""


@dataclass(frozen=True)
class Spot:
    """A place, and in a body what has to stand around it: what is required beside it, what leads to it."""

    place: Place
    around: Any = None

    def __str__(self) -> str:
        holder: Any = self.around
        kinds: list[str] = []
        for step in self.place[1:]:
            if isinstance(holder, dict) and isinstance(holder.get("type"), str):
                kinds.append(holder["type"])
            at: Any = step
            holder = holder[at] if isinstance(holder, dict | list) else None
        return " ".join([".".join(map(str, self.place)), *kinds])


METHODS = ("get", "post", "put", "patch", "delete")
SAMPLES: Mapping[str, Any] = {
    "model": "stub-echo",
    "role": "user",
    "content": "Combien de temps dure la garantie ?",
    "query": "garantie",
    "name": "Été",
    "description": "été",
    "filename": "Été.txt",
    "email": "quelqu-un@example.org",
    "password": "Adm1n-password",
    "url": "http://127.0.0.1:9/",
    "input": "Combien de temps dure la garantie ?",
    "prompt": "Combien de temps dure la garantie ?",
    "purpose": "assistants",
    "permission": "read",
    "principal_type": "user",
    "principal_id": "*",
    "checksum": "0" * 64,
}
"""Values for what is no id, by name."""


@dataclass
class Draft:
    """A request. `path` has the names of its parameters in braces."""

    method: str
    path: str
    values: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    form: bool = False

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def url(self) -> str:
        url = self.path
        for key, value in self.values.items():
            url = url.replace(f"{{{key}}}", str(value))
        return url

    def with_value(self, spot: Spot, value: str) -> Draft:
        """Return the same request with this value there, and what has to stand around it."""
        made = copy.deepcopy(self)
        part, *rest = spot.place
        if part != "body":
            getattr(made, str(part))[rest[0]] = value
            return made
        around = copy.deepcopy(spot.around)
        if isinstance(made.body, dict) and isinstance(around, dict):
            around = made.body | {rest[0]: around[rest[0]]}
        holder = around
        for step in rest[:-1]:
            holder = holder[step]
        holder[rest[-1]] = value
        made.body = around
        return made


@dataclass(frozen=True)
class Maker:
    """Makes requests. `ids` are of things that the caller owns, by the name of a parameter or key."""

    schema: Schema
    ids: Mapping[str, str]

    def operations(self) -> Iterator[tuple[str, str, Schema]]:
        """Yield path, method and description of all."""
        for path, item in self.schema["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]

    def draft(self, path: str, method: str, operation: Schema) -> Draft:
        """Return a request with all that is required."""
        made = Draft(method, path)
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                made.values[parameter["name"]] = self.value(parameter["name"], parameter["schema"])
            elif parameter.get("required") and parameter["in"] == "query":
                made.query[parameter["name"]] = self.value(parameter["name"], parameter["schema"])
        body, made.form = self.body_of(operation)
        if body is not None and not made.form:
            made.body = self.value("", body)
        return made

    def spots(self, operation: Schema) -> list[Spot]:
        """Return where a text can stand in a request."""
        found: list[Spot] = []
        for parameter in operation.get("parameters", ()):
            part = {"path": "values", "query": "query"}.get(parameter["in"])
            if part is not None and [*self.texts(parameter["schema"])]:
                found.append(Spot((part, parameter["name"])))
        body, form = self.body_of(operation)
        if body is not None and not form:
            found += [Spot(("body", *place), around) for place, around in self.texts(body)]
        return list({json.dumps([each.place, each.around]): each for each in found}.values())

    def body_of(self, operation: Schema) -> tuple[Schema | None, bool]:
        """Return the schema of the body, if there is one, and whether it is a form."""
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            return content["application/json"]["schema"], False
        return None, bool(content)

    def variants(self, schema: Schema) -> Sequence[Schema]:
        """Return what the schema allows, one by one, without null."""
        if "$ref" in schema:
            found: Any = self.schema
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            return self.variants(found)
        if "allOf" in schema and len(schema["allOf"]) == 1:
            return self.variants(schema["allOf"][0])
        options = schema.get("anyOf") or schema.get("oneOf")
        if options is None:
            return [schema]
        return [each for option in options for each in self.variants(option) if each.get("type") != "null"]

    def value(self, name: str, schema: Schema) -> Any:
        """Return a value that fits, an id of the caller's own where the name asks for one."""
        if name in self.ids:
            return self.ids[name]
        chosen = self.variants(schema)[0]
        given = [chosen[key] for key in ("const", "default", "example") if chosen.get(key) is not None]
        given += chosen.get("enum", [])
        if name in SAMPLES and chosen.get("type", "string") == "string":
            given.append(SAMPLES[name])
        return given[0] if given else self.plain(name, chosen)

    def plain(self, name: str, schema: Schema) -> Any:
        """Return a value of the type."""
        match schema.get("type"):
            case "object":
                wanted = {key: schema["properties"][key] for key in schema.get("required", ())}
                made: Any = {key: self.value(key, each) for key, each in wanted.items()}
            case "array":
                made = [self.value(name.removesuffix("s"), schema["items"])] if "items" in schema else []
            case "integer" | "number":
                made = schema.get("minimum", 1)
            case "boolean":
                made = False
            case _:
                made = "texte"
        return made

    def texts(self, schema: Schema, depth: int = 0) -> Iterator[tuple[Place, Any]]:
        """Yield the places in a value where any text can stand, each with a value that has it."""
        if depth > 6:
            return
        for variant in self.variants(schema):
            match variant.get("type"):
                case "string" if not {"enum", "const"} & set(variant) and variant.get("format") != "binary":
                    yield (), None
                case "array" if "items" in variant:
                    yield from (((0, *rest), [inner]) for rest, inner in self.texts(variant["items"], depth + 1))
                case "object":
                    yield from self.texts_in(variant, depth)
                case _:
                    pass

    def texts_in(self, schema: Schema, depth: int) -> Iterator[tuple[Place, Any]]:
        """Yield the same for an object, once for each `type` that it can be of."""
        parts = schema.get("properties", {})
        required = {key: self.value(key, parts[key]) for key in schema.get("required", ()) if key in parts}
        kinds = [{"type": kind} for kind in parts.get("type", {}).get("enum", ())] or [{}]
        for kind in kinds:
            for key, each in parts.items():
                for rest, inner in self.texts(each, depth + 1):
                    yield (key, *rest), required | kind | {key: inner}
