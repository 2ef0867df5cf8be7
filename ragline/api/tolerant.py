"""Makes small differences of clients not matter: a final slash, and `curl -d` that does not call its body JSON."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"


class Tolerant:
    """ASGI middleware. No endpoint here takes a URL-encoded form, so such a body can only be curl's default."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            headers = [
                (name, JSON if name == b"content-type" and value.startswith(FORM) else value)
                for name, value in scope["headers"]
            ]
            scope = {**scope, "path": path.rstrip("/") or "/", "headers": headers}
        await self._app(scope, receive, send)
