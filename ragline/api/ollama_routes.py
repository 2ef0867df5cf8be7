"""Which Ollama answers: the one that has the model, one chosen by its place, or the models in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import orjson
from fastapi import Request

from ragline.api.presence import while_present
from ragline.app import App
from ragline.connectors.models.forward import Named, OllamaRoute
from ragline.errors import BackendError, BackendTimeout, NotFound, RaglineError
from ragline.types import Json

LIST_S = 5.0
"""Longest wait for the list of one Ollama."""
ANY_NAME = ("embed", "embeddings", "show")
"""Calls that the models in this process answer for names that are no language models."""


async def first(app: App) -> OllamaRoute:
    """Return the first Ollama that can be reached, else the models in this process."""
    return await app.models.ollama_backend() or app.embedded_ollama


async def nth(app: App, index: int) -> OllamaRoute:
    """Return an Ollama by its place in the settings, from 0. Raises NotFound, BackendError for one that is down."""
    names = connections(app)
    reachable = {name_of(route): route for route in await app.models.ollama_backends()}
    if index == 0 and not reachable:
        return app.embedded_ollama
    if index >= len(names):
        raise NotFound(f"there is no Ollama connection {index}; they are counted from 0, and there are {len(names)}")
    if names[index] not in reachable:
        raise BackendError(f"{names[index]} is down: {app.models.down.get(names[index], 'it gave no list of models')}")
    return reachable[names[index]]


async def route_of(app: App, call: str, name: str, index: int | None) -> tuple[OllamaRoute, str]:
    """Return who answers a call for a model, and the id under which it knows it. Raises NotFound."""
    found = await app.models.ollama_of(name)
    if index is not None:
        return await of_one(app, await nth(app, index), name, found)
    routes = await app.models.ollama_backends()
    for route in routes if found is None else ():  # another kind of connection may offer the same name
        found = found or await app.models.ollama_of(f"{name_of(route)}.{name}")
    if found is not None:
        return found
    if call in ANY_NAME or not routes:
        return app.embedded_ollama, name
    _, model = await app.models.find(name)
    if model.owned_by != "embedded":
        raise NotFound(f"model {name!r} was not found in an Ollama; ask for it at /api/chat/completions")
    return app.embedded_ollama, name


async def of_one(
    app: App, route: OllamaRoute, name: str, found: tuple[OllamaRoute, str] | None
) -> tuple[OllamaRoute, str]:
    """Return one Ollama and how it calls a model, which is asked by its name there or here. Raises NotFound."""
    if route is app.embedded_ollama:
        return route, name
    for each in (found, await app.models.ollama_of(f"{name_of(route)}.{name}")):
        if each is not None and each[0] is route:
            return each
    raise NotFound(f"model {name!r} was not found in {name_of(route)}; see /ollama/api/tags for who has it")


async def all_tags(request: Request, app: App) -> list[Json]:
    """Return the lists of all Ollamas as one, each model under the name it is asked by here.

    Those that do not answer are left out, unless none does: then the first error is raised.
    """
    routes = await app.models.ollama_backends()
    if not routes:
        return await while_present(request, listed(app, app.embedded_ollama))
    asked = asyncio.gather(*(listed(app, route) for route in routes), return_exceptions=True)
    lists = await while_present(request, asked)
    if all(isinstance(each, RaglineError) for each in lists):
        raise next(each for each in lists if isinstance(each, RaglineError))
    names = {
        (model.backend, model.own_id or model.id): model.id
        for model in reversed(await app.models.list())
        if model.alias_of is None
    }
    merged: list[Json] = []
    for route, tags in zip(routes, lists, strict=True):
        if isinstance(tags, RaglineError):
            continue
        if isinstance(tags, BaseException):
            raise tags
        merged += [
            called(tag, names.get((name_of(route), str(tag["model"])))) for tag in tags if isinstance(tag, Mapping)
        ]
    return merged


async def tags_of(request: Request, app: App, index: int) -> list[Json]:
    """Return the list of one Ollama."""
    return await while_present(request, listed(app, await nth(app, index)))


async def listed(app: App, route: OllamaRoute) -> list[Json]:
    """Return an Ollama's models, each with the place of its connection. Raises BackendError, BackendTimeout."""
    try:
        async with asyncio.timeout(LIST_S):
            text = await (await route.forward("GET", "/api/tags", b"")).whole()
    except TimeoutError as error:
        raise BackendTimeout(f"{name_of(route)}: no list of models within {LIST_S:g} s") from error
    names = connections(app)
    place = names.index(name_of(route)) if name_of(route) in names else 0
    models = orjson.loads(text)["models"]
    return [
        {**model, "model": str(model.get("model") or model["name"]), "connection_type": "local", "urls": [place]}
        for model in models
        if isinstance(model, dict) and isinstance(model.get("name"), str)
    ]


def called(tag: Mapping[str, Json], name: str | None) -> Json:
    """Return a model under the name it is asked by."""
    return {**tag, "name": name, "model": name} if name else tag


def connections(app: App) -> list[str]:
    return [each.name for each in app.settings.models.connections if each.kind == "ollama"]


def name_of(route: OllamaRoute) -> str:
    """Return the name of a route's connection."""
    return route.name if isinstance(route, Named) else ""
