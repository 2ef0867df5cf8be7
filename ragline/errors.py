"""One tree of errors. Each has the HTTP `status` it becomes and whether trying again can help.

RaglineError
├── BadInput 400            the request or the file is wrong
│   ├── UnsupportedFile 400     no parser for this type
│   ├── Invalid 422             understood, but a value is not allowed
│   └── TooLarge 413            over a limit
├── NotSignedIn 401         no token, or one that is not valid
├── Forbidden 403           visible, but not allowed
├── NotFound 404            unknown, or not visible to the caller
├── Conflict 409            in a state that does not allow this
│   └── NotReady 409            still being processed; try again
├── ParseFailed 422         the file was accepted but cannot be read
├── TooMany 429             over a rate or a quota
├── BackendError 502        a model back end failed
│   └── BackendTimeout 504      it did not answer in time
├── Unavailable 503         a part of Ragline itself cannot be reached now
├── ClientGone 499          nobody waits for the answer any more
└── SetupError 500          settings or machine: the command ends with one line and exit code 1
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class RaglineError(Exception):
    """Base of all errors that Ragline raises on purpose; its text is meant for the user."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class BadInput(RaglineError):
    status = 400


class UnsupportedFile(BadInput):
    pass


class Invalid(BadInput):
    status = 422


class TooLarge(BadInput):
    status = 413


class NotSignedIn(RaglineError):
    status = 401


class Forbidden(RaglineError):
    status = 403


class NotFound(RaglineError):
    status = 404


class Conflict(RaglineError):
    status = 409


class NotReady(Conflict):
    retryable = True


class ParseFailed(RaglineError):
    status = 422


class OverLimit(ParseFailed):
    """Reading the file would take more than is allowed; the message names the limit and its setting."""


class Damaged(ParseFailed):
    """A library failed on the file, for whatever reason: in a fresh process it may not."""


class TooMany(RaglineError):
    """Over a rate or a quota. `retry_after_s`: when it is worth trying again, where that is known."""

    status = 429
    retryable = True

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BackendError(RaglineError):
    """A model back end failed.

    `upstream` is set where the back end itself answered with an error: (its status, its body, headers to pass on).
    """

    status = 502
    retryable = True

    def __init__(self, message: str, *, upstream: tuple[int, bytes, Mapping[str, str]] | None = None) -> None:
        super().__init__(message)
        self.upstream = upstream


class BackendTimeout(BackendError):
    status = 504


class Unavailable(RaglineError):
    status = 503
    retryable = True


class ClientGone(RaglineError):
    status = 499  # what nginx logs for it


class SetupError(RaglineError):
    pass


def problems(found: Iterable[Mapping[str, Any]]) -> str:
    """Return what pydantic found wrong, in a body or in arguments, as one line: `top_k: Input should be …; …`."""
    return "; ".join(
        f"{'.'.join(str(step) for step in each['loc'] if step != 'body') or 'body'}: "
        f"{str(each['msg']).removeprefix('Value error, ')}"
        for each in found
    )
