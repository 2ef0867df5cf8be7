"""Errors on the wire: one body everywhere, `{"detail": …}`, with the status that the error carries."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.routing import Match

from ragline.connectors.records.outage import away, is_outage
from ragline.errors import BackendError, NotReady, RaglineError, TooMany, Unavailable

log = logging.getLogger(__name__)

ERROR_NAME = "X-Ragline-Error"
"""The header that names the class of an error: several have the same status."""
RETRY_AFTER_S = 5
RETRY_AFTER = re.compile(r"\d{1,9}|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
"""Seconds, or a moment."""
FIRST_ERROR, LAST_STATUS = 400, 599
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
SHOWN_CHARS = 200
"""Of a path, in an error."""


def handle_errors(api: FastAPI) -> None:
    """Answer Ragline's errors with their text, and faults of ours with nothing that tells of the inside."""
    api.add_exception_handler(RaglineError, answer)
    api.add_exception_handler(RequestValidationError, explain)
    api.add_exception_handler(404, no_route)
    api.add_exception_handler(405, no_method)
    api.add_exception_handler(SQLAlchemyError, wait)
    api.add_exception_handler(Exception, hide)


async def answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, RaglineError)
    said = response_of(error)
    said.headers[ERROR_NAME] = type(error).__name__
    return said


async def no_route(request: Request, _: Exception) -> Response:
    """No route has this path; a client that looks for OpenAI's below `/v1` or ours below `/api` reads what it asked."""
    return JSONResponse({"detail": f"Not Found: there is no route {request.method} {shortened(request.url.path)}"}, 404)


async def no_method(request: Request, _: Exception) -> Response:
    """Routes have this path, with other methods."""
    path = request.url.path
    methods = sorted({method for method in METHODS if matches(request, method)})
    detail = f"Method Not Allowed: {shortened(path)} answers {', '.join(methods)}"
    return JSONResponse({"detail": detail}, 405, headers={"Allow": ", ".join(methods)})


def matches(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)


def shortened(path: str) -> str:
    return path if len(path) <= SHOWN_CHARS else f"{path[:SHOWN_CHARS]}…"


async def wait(_: Request, error: Exception) -> Response:
    """The database is locked or away: for the moment."""
    if not is_outage(error):
        raise error
    return response_of(away(error))


async def hide(_: Request, __: Exception) -> Response:
    """Tell nothing; the web server logs the traceback."""
    return JSONResponse({"detail": "an internal error; the server's log has its traceback"}, 500)


async def explain(_: Request, error: Exception) -> Response:
    """Answer 422 with what is wrong where, in FastAPI's shape; what was sent is not sent back."""
    assert isinstance(error, RequestValidationError)
    shown = [
        {"type": each["type"], "loc": list(each["loc"]), "msg": each["msg"], "input": {}}
        | ({"ctx": {key: str(value) for key, value in each["ctx"].items()}} if "ctx" in each else {})
        for each in error.errors()
    ]
    return JSONResponse({"detail": shown}, 422)


def told(error: BackendError, status: int, body: bytes, sent: Mapping[str, str]) -> Response:
    """Return what a back end answered: its status, `Retry-After` and JSON; a page of its never becomes one of ours."""
    after = sent.get("retry-after", "")
    headers = {"Retry-After": after} if RETRY_AFTER.fullmatch(after) else {}
    if not FIRST_ERROR <= status <= LAST_STATUS:
        return JSONResponse({"detail": str(error)}, error.status, headers=headers)
    if sent.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return JSONResponse({"detail": str(error)}, status, headers=headers)
    return Response(body, status, headers=headers, media_type="application/json")


def response_of(error: RaglineError) -> Response:
    """Return the response for an error; what a back end itself answered is passed on."""
    if isinstance(error, BackendError) and error.upstream is not None:
        return told(error, *error.upstream)
    waits = isinstance(error, NotReady | TooMany | Unavailable)
    after_s = getattr(error, "retry_after_s", None) or RETRY_AFTER_S
    headers = {"Retry-After": str(after_s)} if waits else {}
    return JSONResponse({"detail": str(error)}, error.status, headers=headers)
