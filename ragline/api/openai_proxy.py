"""`/openai/*` and `/ollama/v1/*`: OpenAI's API of the back ends themselves, without Ragline's references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragline.api.caller import Caller, Installation
from ragline.api.completing import answered
from ragline.api.embeddings import EmbeddingsBody, embedded, is_own
from ragline.api.passing import passed, renamed
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import EVENTS
from ragline.api.wire_chat import MAX_NAME_CHARS, ChatBody
from ragline.app import App
from ragline.connectors.models.forward import OpenAIRoute
from ragline.errors import Forbidden, NotFound
from ragline.retrieval.answer import Question
from ragline.retrieval.usage import check_quota
from ragline.types import Json, User

router = APIRouter(route_class=StrictRoute, tags=["openai"])

CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES = "/chat/completions", "/completions", "/embeddings", "/responses"
Body = TypeVar("Body", bound=BaseModel)


class PassedBody(BaseModel):
    """A request in OpenAI's format. It goes to the back end byte for byte; only the model's name is read."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [{"model": "extractive", "messages": [{"role": "user", "content": "Où est la clé ?"}]}]
        },
    )
    model: str = Field(min_length=1, max_length=MAX_NAME_CHARS)


class BackEndAnswer(BaseModel):
    """What the back end answered, untouched."""

    model_config = ConfigDict(extra="allow")


@router.post("/openai/chat/completions", response_model=BackEndAnswer, responses=EVENTS)
@router.post("/openai/v1/chat/completions", response_model=BackEndAnswer, responses=EVENTS)
@router.post("/ollama/v1/chat/completions", response_model=BackEndAnswer, responses=EVENTS)
async def chat_completions(request: Request, body: PassedBody, app: Installation, user: Caller) -> Response:
    """Chat with a back end directly; `files` are not read here."""
    return await proxied(request, app, user, CHAT)


@router.post("/openai/completions", response_model=BackEndAnswer, responses=EVENTS)
@router.post("/openai/v1/completions", response_model=BackEndAnswer, responses=EVENTS)
@router.post("/ollama/v1/completions", response_model=BackEndAnswer, responses=EVENTS)
async def completions(request: Request, body: PassedBody, app: Installation, user: Caller) -> Response:
    """Let a back end go on with a text."""
    return await proxied(request, app, user, COMPLETIONS)


@router.post("/openai/embeddings", response_model=BackEndAnswer)
@router.post("/openai/v1/embeddings", response_model=BackEndAnswer)
@router.post("/ollama/v1/embeddings", response_model=BackEndAnswer)
async def embeddings(request: Request, body: PassedBody, app: Installation, user: Caller) -> Response:
    """Have a back end embed texts; the installation's own embedding model answers here, too."""
    return await proxied(request, app, user, EMBEDDINGS)


@router.post("/openai/responses", response_model=BackEndAnswer, responses=EVENTS)
@router.post("/openai/v1/responses", response_model=BackEndAnswer, responses=EVENTS)
@router.post("/ollama/v1/responses", response_model=BackEndAnswer, responses=EVENTS)
async def responses(request: Request, body: PassedBody, app: Installation, user: Caller) -> Response:
    """Ask a back end through its own route of responses; `/v1/responses` is Ragline's."""
    return await proxied(request, app, user, RESPONSES)


@router.api_route("/openai/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def others(path: str, user: Caller) -> Response:
    """Refuse what is not known to be safe to pass on with the installation's own key."""
    raise Forbidden(
        f"/openai/{path[:MAX_NAME_CHARS]} is not passed on; "
        f"these are: {', '.join([CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES])} with POST, and GET /models"
    )


async def proxied(request: Request, app: App, user: User, path: str) -> Response:
    """Pass a request on to the back end that serves its model. Raises NotFound where there is none, or no such route.

    Models in this process answer chats, and the installation's embedding model embeds.
    """
    asked: Mapping[str, Json] = await request.json()
    name = str(asked["model"])
    request.state.details = {"model": name}
    await check_quota(app, user)
    if path == EMBEDDINGS and is_own(app, name):
        return await embedded(request, app, checked(EmbeddingsBody, asked))
    backend, model = await app.models.find(name)
    if isinstance(backend, OpenAIRoute):
        body = renamed(await request.body(), asked, model.id)
        return await passed(request, app, backend.forward_openai(path, body), asked)
    if path != CHAT:
        raise NotFound(f"{name!r} has no route {path}: it is a model of {backend.name!r}, which answers {CHAT} only")
    return await chatted(request, app, user, asked)


async def chatted(request: Request, app: App, user: User, asked: Mapping[str, Json]) -> Response:
    """Answer a chat by a model of this process."""
    body = checked(ChatBody, {key: value for key, value in asked.items() if key != "files"})
    question = Question(
        model=body.model,
        messages=[message.model_dump(exclude_unset=True) for message in body.messages],
        parameters=body.model_dump(exclude_unset=True, exclude={"model", "messages"}),
    )
    return await answered(request, app, question, user, streams=bool(body.stream))


def checked(kind: type[Body], asked: Mapping[str, Json]) -> Body:
    """Return a body that is read after all. Raises RequestValidationError with what is wrong where."""
    try:
        return kind.model_validate(asked)
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in error.errors()]) from error
