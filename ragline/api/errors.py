"""Errors on the wire: one body everywhere, `{"detail": …}`, with the status that the error carries."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from ragline.connectors.records.outage import away, is_outage
from ragline.errors import BackendError, NotReady, RaglineError, TooMany, Unavailable

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5


def handle_errors(api: FastAPI) -> None:
    """Answer Ragline's errors with their text, and faults of ours with nothing that tells of the inside."""
    api.add_exception_handler(RaglineError, answer)
    api.add_exception_handler(RequestValidationError, explain)
    api.add_exception_handler(SQLAlchemyError, wait)
    api.add_exception_handler(Exception, hide)


async def answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, RaglineError)
    return response_of(error)


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


def response_of(error: RaglineError) -> Response:
    """Return the response for an error; what a back end itself answered is passed on."""
    if isinstance(error, BackendError) and error.upstream is not None:
        status, body, headers = error.upstream
        return Response(body, status, headers=dict(headers))
    waits = isinstance(error, NotReady | TooMany | Unavailable)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if waits else {}
    return JSONResponse({"detail": str(error)}, error.status, headers=headers)
