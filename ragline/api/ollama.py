"""`/ollama/*`: Ollama's own API, passed through to the first Ollama, or answered by the models in this process."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from ragline.api.caller import Caller, Installation
from ragline.api.presence import while_present
from ragline.api.strict_json import StrictRoute
from ragline.errors import Forbidden

router = APIRouter(route_class=StrictRoute, prefix="/ollama", tags=["ollama"])

FOR_EVERYBODY = frozenset({"tags", "version", "ps", "show", "generate", "chat", "embed", "embeddings"})
"""What uses models; the rest (pull, delete, create, …) changes what the machine holds and is the administrator's."""


@router.get("/api/{path:path}", operation_id="ollama_get")
@router.post("/api/{path:path}", operation_id="ollama_post")
@router.delete("/api/{path:path}", operation_id="ollama_delete")
@router.head("/api/{path:path}", include_in_schema=False)
async def ollama(request: Request, path: str, app: Installation, user: Caller) -> Response:
    """Pass a request on byte for byte; streams are not buffered. Without an Ollama the embedded models answer it."""
    if path not in FOR_EVERYBODY and not user.is_admin:
        raise Forbidden(f"/ollama/api/{path} is for administrators")
    route = await app.models.ollama_backend() or app.embedded_ollama
    body = await request.body()
    forwarded = await while_present(request, route.forward(request.method, f"/api/{path}", body))
    return StreamingResponse(forwarded.chunks, forwarded.status, media_type=forwarded.content_type)
