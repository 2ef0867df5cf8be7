"""The description of the API, at /openapi.json and /docs while ENV=dev: what every operation answers when it fails."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from ragline import __version__

Schema = dict[str, Any]

PROBLEM: Schema = {
    "title": "Problem",
    "description": "Every error: what was wrong, the limit where there is one, and the way out.",
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "description": "one entry for every value of the request that is not allowed",
                    "items": {
                        "type": "object",
                        "required": ["type", "loc", "msg"],
                        "properties": {
                            "type": {"type": "string"},
                            "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
                            "msg": {"type": "string"},
                        },
                    },
                },
            ]
        }
    },
}

EXAMPLES = {
    "400": ("the request is wrong", "'rapport.pdf' is empty"),
    "401": ("no token, or one that is not valid", "Not authenticated"),
    "403": ("visible, but not allowed", "this is for administrators"),
    "404": ("unknown, or not visible to the caller", "no file 'b2c4'"),
    "405": ("this path has no such method", "Method Not Allowed: /api/models answers GET"),
    "409": ("in a state that does not allow this", "the file 'rapport.pdf' is still being processed; try again"),
    "413": ("over a limit of size", "the request is larger than 16777216 bytes; the limit is server.max_json_bytes"),
    "422": ("a value is not allowed, or the body is no JSON", "knowledge_id must be at most 256 characters"),
    "429": ("over a rate or a quota; `Retry-After` says when", "too many failed sign-ins; try again in 240 seconds"),
    "499": ("the client went away before there was an answer", "the client is gone"),
    "502": ("the model back end failed", "the model 'bonjour' failed: ValueError"),
    "503": ("a part of Ragline cannot be reached now", "the records cannot be reached; try again in a moment"),
    "504": ("the model back end did not answer in time", "'ollama' did not answer within 300 seconds"),
}
"""Status → what it means, and a detail as an example."""

WITH_BODY = ("400", "404", "409", "413", "422", "429")
WITH_TOKEN = ("401", "403")
WITH_MODEL = ("400", "404", "429", "499", "502", "504")
MODEL_TAGS = {"chat", "models", "ollama", "openai", "embeddings", "messages", "responses"}
"""Tags of the routes that a model back end has a part in: what it answers, with its status, is passed on."""

PROXY_TAGS = {"ollama", "openai"}
"""Tags of the routes whose errors may be the back end's own, in its own shape."""

PASSED_ON: Schema = {
    "description": "what the model back end itself answered, with its status",
    "content": {"application/json": {"schema": {}}},
}

SCHEMES: Schema = {
    "HTTPBearer": {"type": "http", "scheme": "bearer", "description": "An API key (`sk-…`) or a session's token."},
    "ApiKeyHeader": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same, as a header."},
}


def described() -> FastAPI:
    """Return an application that describes itself at /docs, which needs no internet, and /openapi.json."""
    api = FastAPIOffline(
        title="Ragline",
        version=__version__,
        description="Chat with your files and collections through Open WebUI's and OpenAI's HTTP APIs.",
        redoc_url=None,
        redirect_slashes=False,
    )
    plain = api.openapi

    def openapi() -> Schema:
        if api.openapi_schema is None:
            complete(plain())
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]
    return api


def complete(schema: Schema) -> None:
    """Add to each operation what it does in a line, the errors it can answer, and the ways to send a token."""
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = SCHEMES
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if "security" in operation:
                operation["security"] = [{name: []} for name in SCHEMES]
            operation["summary"] = operation["description"].split("\n")[0].rstrip(".")
            responses, tags = operation["responses"], set(operation.get("tags", ()))
            described_as = passed_on if PROXY_TAGS & tags else problem
            responses.update((status, described_as(status)) for status in errors_of(path, operation))
            if MODEL_TAGS & tags:
                responses["default"] = PASSED_ON


def errors_of(path: str, operation: Schema) -> list[str]:
    """Return the statuses with which an operation can fail."""
    statuses = {"503"}
    if "security" in operation:
        statuses.update(WITH_TOKEN)
    if "requestBody" in operation:
        statuses.update(WITH_BODY)
    if "parameters" in operation:
        statuses.add("422")
    if "{" in path:
        statuses.update(("404", "409"))
    if MODEL_TAGS & set(operation.get("tags", ())):
        statuses.update(WITH_MODEL)
    return sorted(statuses)


def problem(status: str) -> Schema:
    description, detail = EXAMPLES[status]
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": {"detail": detail}}
    return {"description": description, "content": {"application/json": content}}


def passed_on(status: str) -> Schema:
    described = problem(status)
    schemas = [described["content"]["application/json"]["schema"], {"type": "object"}]
    described["content"]["application/json"]["schema"] = {"anyOf": schemas}
    return described
