"""`/ollama/*`: Ollama's own API, passed to the Ollama that has the model, or answered by the models in this process."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from ragline.api.caller import Caller, Installation
from ragline.api.ollama_routes import all_tags, first, nth, route_of, tags_of
from ragline.api.passing import passed, readable, renamed
from ragline.api.strict_json import StrictRoute
from ragline.api.wire_chat import MAX_NAME_CHARS
from ragline.app import App
from ragline.errors import Forbidden, Invalid
from ragline.retrieval.usage import check_quota
from ragline.types import Json, User

router = APIRouter(route_class=StrictRoute, prefix="/ollama", tags=["ollama"])

LINES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}}
STREAMED = ("generate", "chat")
METHODS = {"tags": "GET", "version": "GET", "ps": "GET"} | dict.fromkeys(
    ("generate", "chat", "embed", "embeddings", "show"), "POST"
)
"""Of the calls that have routes of their own."""

Endpoint = Callable[..., Coroutine[Any, Any, Response]]
NUMBERED = re.compile(r"(?P<path>.+)/(?P<index>\d{1,4})")
Index = Annotated[int, Path(ge=0, le=9999, description="Which of the Ollama connections, from 0.")]


class AskedOfOllama(BaseModel):
    """A request in Ollama's format. It goes on byte for byte; only the model's name is read."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"model": "smollm2:135m", "prompt": "Où est la clé ?", "stream": False}]},
    )
    model: str | None = Field(None, max_length=MAX_NAME_CHARS)
    name: str | None = Field(None, max_length=MAX_NAME_CHARS)


class OllamaAnswer(BaseModel):
    """What Ollama answered, untouched."""

    model_config = ConfigDict(extra="allow")


class OllamaTag(OllamaAnswer):
    """A model that was pulled; `urls` has the places of its connections among those of Ollama, from 0."""

    name: str
    model: str
    connection_type: str
    urls: list[int]


class OllamaTags(BaseModel):
    models: list[OllamaTag]


class OllamaVersion(BaseModel):
    version: str


@router.head("", include_in_schema=False)
@router.get("", response_class=PlainTextResponse)
async def running(_: Caller) -> str:
    """Answer as Ollama does on its root."""
    return "Ollama is running"


@router.head("/api/tags", include_in_schema=False)
@router.get("/api/tags")
async def tags(request: Request, app: Installation, _: Caller) -> OllamaTags:
    """List the models of all Ollamas under the names that they are asked by here; without one, those embedded."""
    return OllamaTags.model_validate({"models": await all_tags(request, app)})


@router.get("/api/tags/{index}")
async def tags_of_one(request: Request, app: Installation, _: Caller, index: Index) -> OllamaTags:
    """List the models of one Ollama under its own names."""
    return OllamaTags.model_validate({"models": await tags_of(request, app, index)})


def telling(call: str) -> tuple[Endpoint, Endpoint]:
    """Return the endpoints of a call without a body: of the first Ollama that can be reached, and of one chosen."""

    async def of_the_first(request: Request, app: Installation, _: Caller) -> Response:
        return await passed(request, app, (await first(app)).forward("GET", f"/api/{call}", b""), {})

    async def of_one(request: Request, app: Installation, _: Caller, index: Index) -> Response:
        return await passed(request, app, (await nth(app, index)).forward("GET", f"/api/{call}", b""), {})

    return of_the_first, of_one


def answering(call: str) -> tuple[Endpoint, Endpoint]:
    """Return the endpoints of a call that names a model: of the Ollama that has it, and of one chosen."""

    async def of_its_own(request: Request, body: AskedOfOllama, app: Installation, user: Caller) -> Response:
        return await asked(request, app, user, body, call=call, index=None)

    async def of_one(request: Request, body: AskedOfOllama, app: Installation, user: Caller, index: Index) -> Response:
        return await asked(request, app, user, body, call=call, index=index)

    return of_its_own, of_one


def add(method: str, call: str, endpoints: tuple[Endpoint, Endpoint], model: type[BaseModel], says: str) -> None:
    lines = LINES if call in STREAMED else None
    for path, endpoint in zip((f"/api/{call}", f"/api/{call}/{{index}}"), endpoints, strict=True):
        router.add_api_route(
            path, endpoint, methods=[method], response_model=model, description=says, name=call, responses=lines
        )


add("GET", "version", telling("version"), OllamaVersion, "Tell the version of an Ollama.")
add("GET", "ps", telling("ps"), OllamaAnswer, "List the models that an Ollama has in memory.")
for name, text in {
    "generate": "Let a model go on with a text; a stream of lines unless `stream` is false.",
    "chat": "Chat with a model; a stream of lines unless `stream` is false. `files` are not read here.",
    "embed": "Turn texts into vectors.",
    "embeddings": "Turn one text into a vector.",
    "show": "Tell what a model is.",
}.items():
    add("POST", name, answering(name), OllamaAnswer, text)


@router.api_route("/api/{path:path}", methods=["GET", "HEAD", "POST", "DELETE"], include_in_schema=False)
async def others(request: Request, path: str, app: Installation, user: Caller) -> Response:
    """Pass on what changes the models that an Ollama holds (pull, delete, create, …); for administrators."""
    numbered = NUMBERED.fullmatch(path)
    path, index = (numbered["path"], int(numbered["index"])) if numbered else (path, None)
    if path in METHODS:
        told = f"Method Not Allowed: /ollama/api/{path} answers {METHODS[path]}"
        raise HTTPException(405, told, {"Allow": METHODS[path]})
    if not user.sees_all:
        raise Forbidden(f"/ollama/api/{path[:MAX_NAME_CHARS]} is for administrators")
    raw = await request.body()
    sent = readable(raw)
    read: Mapping[str, Json] = sent if isinstance(sent, Mapping) else {}
    name = read.get("model") or read.get("name")
    request.state.details = {"model": name if isinstance(name, str) else None}
    route = await first(app) if index is None else await nth(app, index)
    if index is None and isinstance(name, str) and (found := await app.models.ollama_of(name)) is not None:
        route, raw = found[0], renamed(raw, read, found[1])
    target = quote(path, safe="/:@", errors="replace")
    return await passed(request, app, route.forward(request.method, f"/api/{target}", raw), read)


async def asked(
    request: Request, app: App, user: User, body: AskedOfOllama, *, call: str, index: int | None
) -> Response:
    """Pass a request on to who has its model. Raises Invalid without a model, TooMany over the quota."""
    name = body.model or body.name
    if not name:
        raise Invalid(f"model: the name of a model is needed for {call}; see /ollama/api/tags")
    request.state.details = {"model": name}
    await check_quota(app, user)
    route, own_id = await route_of(app, call, name, index)
    sent: Mapping[str, Json] = await request.json()
    raw = renamed(await request.body(), sent, own_id)
    return await passed(request, app, route.forward("POST", f"/api/{call}", raw), sent)
