"""Before a body is read: is the caller known, and is it small enough?"""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragline.api.caller import identify
from ragline.api.errors import response_of, wait
from ragline.api.eventlog import EventLog
from ragline.errors import RaglineError, TooLarge

SIGNING = ("/api/v1/auths/signin", "/api/v1/auths/signup", "/api/v1/auths/signout")
OPEN_PATHS = ("/", "/health", "/health/db", "/ready", "/api/version", "/api/config", "/docs", "/openapi.json", *SIGNING)
OPEN_PREFIXES = ("/static-offline-docs/",)
"""Routes for which nobody needs a token."""

READING = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing and are not written down."""

UPLOADS = ("/api/v1/files", "/v1/files")
MULTIPART_BYTES = 1 << 20
"""What the form around an uploaded file may take."""
SIGN_IN_BYTES = 64 << 10


class Doorkeeper:
    """ASGI middleware. The user it found is in the request's state; bodies over their limit are 413."""

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int, max_json_bytes: int) -> None:
        self._app = app
        self._max_upload, self._max_json = max_upload_bytes, max_json_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if request.app.state.events is not None and scope["method"] not in READING:
            send = noted(request, send)
        try:
            limit = self._limit(request)
            if int(request.headers.get("content-length") or 0) > limit:
                raise self._too_large(request)
            if not is_open(request.url.path):
                request.state.identity = await identify(request)
        except RaglineError as error:
            await response_of(error)(scope, receive, send)
            return
        except SQLAlchemyError as error:
            await (await wait(request, error))(scope, receive, send)
            return
        except ValueError:
            await JSONResponse({"detail": "Content-Length is not a number"}, 400)(scope, receive, send)
            return
        await self._app(scope, counted(receive, limit, self._too_large(request)), send)

    def _limit(self, request: Request) -> int:
        if request.url.path in UPLOADS:
            return self._max_upload + MULTIPART_BYTES
        return SIGN_IN_BYTES if is_open(request.url.path) else self._max_json

    def _too_large(self, request: Request) -> TooLarge:
        if request.url.path in UPLOADS:
            return TooLarge(
                f"the file is too large: at most {self._max_upload} bytes are taken (server.max_upload_bytes); "
                "split it, or have an administrator raise the limit"
            )
        setting = "" if is_open(request.url.path) else " (server.max_json_bytes)"
        return TooLarge(
            f"the request is larger than the {self._limit(request)} bytes that are taken{setting}; send less"
        )


def is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


def noted(request: Request, send: Send) -> Send:
    """Return `send` that has the request written down once its answer begins.

    Of callers that nobody knows only attempts to sign in are: others could fill the log.
    """
    events: EventLog = request.app.state.events

    async def note(message: Message) -> None:
        known = "identity" in request.state._state or request.url.path in SIGNING
        if message["type"] == "http.response.start" and known:
            events.note(request, message["status"])
        await send(message)

    return note


def counted(receive: Receive, limit: int, error: TooLarge) -> Receive:
    """Return `receive` that ends in 413 for a body that is longer than it said, or did not say."""
    size = 0

    async def count() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HTTPException(413, str(error))  # of FastAPI: it lets no other error out of a body
        return message

    return count
