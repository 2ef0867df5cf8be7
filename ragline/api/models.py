"""`GET /api/models` and `GET /v1/models`: the models of all back ends, in Open WebUI's shape and in OpenAI's."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from ragline.api.caller import Caller, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import NO_NUL, ModelOut
from ragline.api.wire_chat import MAX_NAME_CHARS
from ragline.app import App
from ragline.errors import NotFound
from ragline.types import Model

router = APIRouter(route_class=StrictRoute, tags=["models"])

ModelId = Annotated[str, Path(max_length=MAX_NAME_CHARS, pattern=NO_NUL, description="It may hold `/` and `:`.")]
IN_OLLAMA = ("ollama", "embedded")
"""Whose models are listed below `/ollama`."""


class ListedModel(ModelOut):
    """A model of a chat; `urlIdx` is the place of its connection among those of its kind, from 0."""

    provider: str = ""


class ListedModels(BaseModel):
    data: list[ListedModel]


class OpenAIModel(BaseModel):
    """A model as OpenAI's clients read it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class OpenAIModels(BaseModel):
    object: Literal["list"] = "list"
    data: list[OpenAIModel]


@router.get("/api/models", response_model_exclude_none=True)
@router.get("/api/v1/models", response_model_exclude_none=True)
async def models(app: Installation, _: Caller, refresh: bool = False) -> ListedModels:
    """List what can be chatted with; `refresh` asks the back ends anew."""
    return ListedModels(data=[placed(app, model) for model in await app.models.list(refresh)])


@router.get("/v1/models")
@router.get("/openai/models")
@router.get("/openai/v1/models")
@router.get("/ollama/v1/models")
async def openai_models(request: Request, app: Installation, _: Caller) -> OpenAIModels:
    """List all models, the one that embeds the documents last; below `/ollama` those that answer there."""
    below_ollama = request.url.path.startswith("/ollama")
    listed = [model for model in await app.models.list() if not below_ollama or model.owned_by in IN_OLLAMA]
    data = [listing(model) for model in listed]
    own = embedding_model(app)
    return OpenAIModels(data=data if own.id in {model.id for model in data} else [*data, own])


@router.get("/v1/models/{model_id:path}")
@router.get("/openai/models/{model_id:path}")
@router.get("/openai/v1/models/{model_id:path}")
@router.get("/ollama/v1/models/{model_id:path}")
async def openai_model(app: Installation, user: Caller, model_id: ModelId) -> OpenAIModel:
    """Return one model under the name it was asked for."""
    own = embedding_model(app)
    try:
        _, model = await app.models.find(model_id)
    except NotFound:
        if model_id != own.id:
            raise
        return own
    return listing(model).model_copy(update={"id": model_id})


def listing(model: Model) -> OpenAIModel:
    return OpenAIModel(id=model.id, created=model.created, owned_by=model.owned_by)


def embedding_model(app: App) -> OpenAIModel:
    return OpenAIModel(id=app.settings.embedder.model, created=0, owned_by="ragline")


def placed(app: App, model: Model) -> ListedModel:
    """Return a model with the place of its connection."""
    shown = ListedModel.model_validate(ModelOut.of(model).model_dump())
    alike = [each for each in app.settings.models.connections if each.name == model.backend]
    kind = alike[0].kind if alike else None
    names = [each.name for each in app.settings.models.connections if each.kind == kind]
    place = names.index(model.backend) if model.backend in names else 0
    connection = {"connection_type": shown.connection_type}
    if shown.ollama is not None:
        return shown.model_copy(update={"urlIdx": place, "ollama": shown.ollama | connection | {"urls": [place]}})
    return shown.model_copy(update={"urlIdx": place, "openai": (shown.openai or {}) | connection})
