"""What commands ask of a Ragline server, over HTTP: look up, upload, follow, audit."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from ragline import errors
from ragline.errors import (
    BackendError,
    BackendTimeout,
    BadInput,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotSignedIn,
    RaglineError,
    TooLarge,
    TooMany,
    Unavailable,
    problems,
)
from ragline.types import Status

T = TypeVar("T")

TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 300.0
"""Longest silence during an upload: a large file is written to disk before it is acknowledged."""
SILENCE_S = 60.0
"""A stream of events that is silent for so long is opened anew: its server may have gone without a word."""
LIST_TIMEOUT_S = 300.0
"""Longest silence while a server lists a whole collection."""
AUDIT_TIMEOUT_S = 3600.0
PATIENCE_S = 60.0
"""How long a server that answered before may not answer, or say that it cannot now."""
RETRY_S = 1.0
MAX_CONNECTIONS = 100
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

ERRORS: Mapping[int, type[RaglineError]] = {
    400: BadInput,
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: TooMany,
    502: BackendError,
    503: Unavailable,
    504: BackendTimeout,
}

ERROR_NAME = "X-Ragline-Error"
"""The header in which a server names the class of an error: several have the same status."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that the server has."""

    id: str
    name: str
    status: Status


@dataclass(frozen=True, slots=True)
class State:
    """How far a file is: `progress` from 0 to 1, `error` says why it failed."""

    status: Status
    stage: str
    progress: float
    error: str | None

    @property
    def is_final(self) -> bool:
        return self.status in (Status.COMPLETED, Status.FAILED)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that an audit found not as it should be. `repaired`: it is mended, or will be by ingestion."""

    kind: str
    id: str
    detail: str
    repaired: bool


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found, and how much it looked at."""

    findings: Sequence[Finding]
    files: int
    chunks: int
    points: int
    blobs: int
    young: int


class Later(Exception):
    """The server asks for some patience; `error` is what it said."""

    def __init__(self, error: RaglineError, after_s: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.after_s = after_s


class Client:
    """Speaks to one server as one user; use it as `async with`.

    Waits while the queue is full (429), and up to PATIENCE_S where the server does not answer or asks for it (503).
    Every method raises the error that the server answered with, by its status, and Unavailable.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            trust_env=httpx.URL(self.url).host not in LOOPBACK,  # a proxy cannot reach this machine's own addresses
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def check(self) -> None:
        """Raise Unavailable where no Ragline server answers, without patience."""
        try:
            answer = await self._http.get("/api/version")
            answer.raise_for_status()
            version = answer.json()["version"]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"no Ragline server answers at {self.url!r}: {error or type(error).__name__}") from error
        if not isinstance(version, str):
            raise Unavailable(f"what answers at {self.url!r} is no Ragline server")

    async def known(self, sha256: str) -> list[Stored]:
        """Return the user's own files of exactly these bytes, the first one first."""
        found = await self._ask("GET", "/api/v1/files/", params={"sha256": sha256, "content": "false"})
        return [Stored(item["id"], item["filename"], Status(item["data"]["status"])) for item in found["items"]]

    async def upload(self, path: Path, *, name: str, metadata: Mapping[str, str], password: str | None = None) -> str:
        """Send a file and return its id; it is stored, and waits to be ingested. Raises OSError if it cannot be read.

        To be called through `patiently`, behind a look-up: after a connection broke the file may have been stored.
        """
        form = {"metadata": json.dumps(metadata)} | ({"password": password} if password else {})
        with path.open("rb") as content:
            sent = {"files": {"file": (name, content)}, "data": form}
            made = await self._once("POST", "/api/v1/files/", timeout_s=UPLOAD_TIMEOUT_S, **sent)
        return str(made["id"])

    async def retry(self, file_id: str) -> None:
        """Let a failed file be processed again; of one that is not failed any more nothing changes."""
        try:
            await self._ask("POST", f"/api/v1/files/{file_id}/process/retry")
        except Conflict:
            return  # somebody else was faster

    async def unlock(self, file_id: str, password: str) -> None:
        """Give a file the password that opens it; it is processed again."""
        await self._ask("POST", f"/api/v1/files/{file_id}/password", json={"password": password})

    async def states(self, file_id: str) -> AsyncIterator[State]:
        """Give how far a file is, now and at each change, up to its end. Raises NotFound once it is deleted."""
        final = False
        while not final:
            async with self._events(file_id) as events:
                async for state in events:
                    yield state
                    final = state.is_final

    async def collection(self, name: str) -> str:
        """Return the id of the user's collection of this name or id, made where there is none.

        Raises Conflict as `known_collection` does.
        """
        if (known := await self.known_collection(name)) is not None:
            return known
        made = await self._ask("POST", "/api/v1/knowledge/create", json={"name": name, "description": ""})
        return str(made["id"])

    async def known_collection(self, name: str) -> str | None:
        """Return the id of the user's collection of this name or id, None where there is none.

        Raises Conflict where the name could mean collections of several users and the key does not tell which.
        """
        found = [each for each in await self._collections(name) if name in (each["name"], each["id"])]
        owner = await self._user_id() if found else None
        own = [each for each in found if owner in (None, each["user_id"])]
        if len({each["user_id"] for each in own}) > 1:
            ids = ", ".join(each["id"] for each in own)
            raise Conflict(f"several users have a collection {name!r}: name it by its id, one of {ids}")
        return str(min(own, key=lambda each: (each["created_at"], each["id"]))["id"]) if own else None

    async def link(self, collection_id: str, file_ids: Sequence[str]) -> None:
        """Put files into a collection, all or none; once is enough."""
        body = [{"file_id": file_id} for file_id in file_ids]
        await self._ask("POST", f"/api/v1/knowledge/{collection_id}/files/batch/add", json=body)

    async def names_in(self, collection_id: str) -> dict[str, str]:
        """Return the names of all files of a collection by their ids."""
        # Compared with a client that has nothing, everything is to be deleted; comparing deletes nothing.
        path = f"/api/v1/knowledge/{collection_id}/sync/diff"
        said = await self._ask("POST", path, json={"manifest": []}, timeout_s=LIST_TIMEOUT_S)
        return {each["file_id"]: each["filename"] for each in said["deleted"]}

    async def names_beside(self, file_id: str, *, most: int) -> dict[str, str]:
        """Return by their ids the names of what else the owner of this file has, itself included.

        Only the `most` newest files that the user sees are looked at; nothing comes where this one is not among them.
        """
        found: dict[str, dict[str, Any]] = {}
        page, seen, total = 1, 0, 1
        while seen < min(total, most):
            answer = await self._ask("GET", "/api/v1/files/", params={"page": page})
            if not answer["items"]:
                break
            found |= {each["id"]: each for each in answer["items"]}
            page, seen, total = page + 1, seen + len(answer["items"]), answer["total"]
        owner = found[file_id]["user_id"] if file_id in found else None
        return {id_: each["filename"] for id_, each in found.items() if each["user_id"] == owner}

    async def audit(self, *, repair: bool) -> Audit:
        """Have the server compare what it stores, and mend it with `repair`. Raises Forbidden for who may not."""
        said = await self._ask("POST" if repair else "GET", "/api/v1/audit", timeout_s=AUDIT_TIMEOUT_S)
        findings = [Finding(each["kind"], each["id"], each["detail"], each["repaired"]) for each in said["findings"]]
        return Audit(findings, said["files"], said["chunks"], said["points"], said["blobs"], said["young"])

    async def explain(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return how a question is searched. Raises NotFound for a collection or file that the user cannot see."""
        said: dict[str, Any] = await self._ask("POST", "/api/v1/retrieval/explain", json=dict(asked))
        return said

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` returns, called again as long as there is hope."""
        gave_up_at = None
        while True:
            try:
                return await call()
            except Later as later:
                pause_s, error = later.after_s, later.error
            except httpx.TransportError as broken:
                reason = f"the server at {self.url!r} does not answer any more: {broken or type(broken).__name__}"
                pause_s, error = RETRY_S, Unavailable(reason)
            if not isinstance(error, TooMany):
                gave_up_at = gave_up_at or time.monotonic() + PATIENCE_S
                if time.monotonic() > gave_up_at:
                    raise error
            await asyncio.sleep(pause_s)

    async def _ask(self, method: str, path: str, *, timeout_s: float = TIMEOUT_S, **sent: Any) -> Any:
        return await self.patiently(lambda: self._once(method, path, timeout_s=timeout_s, **sent))

    async def _once(self, method: str, path: str, *, timeout_s: float, **sent: Any) -> Any:
        """Return the JSON of one answer. Raises what the server answered; Later where asking again may help."""
        answer = await self._http.request(method, path, timeout=httpx.Timeout(timeout_s, connect=10.0), **sent)
        raise_error(answer)
        return answer.json()

    @asynccontextmanager
    async def _events(self, file_id: str) -> AsyncIterator[AsyncIterator[State]]:
        """Open a file's stream of events; where it breaks off it just ends."""

        async def open_stream() -> httpx.Response:
            request = self._http.build_request(
                "GET",
                f"/api/v1/files/{file_id}/process/status",
                params={"stream": "true"},
                timeout=httpx.Timeout(TIMEOUT_S, read=SILENCE_S, pool=None),
            )
            answer = await self._http.send(request, stream=True)
            if answer.is_error:
                await answer.aread()
            raise_error(answer)
            return answer

        answer = await self.patiently(open_stream)
        try:
            yield states_in(answer)
        finally:
            await answer.aclose()

    async def _collections(self, text: str) -> list[dict[str, Any]]:
        """Return all collections that the user sees and whose name contains the text, and the one with this id."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = await self._ask("GET", "/api/v1/knowledge/search", params={"query": text, "page": page})
            found += answer["items"]
            if not answer["items"] or len(found) >= answer["total"]:
                break
            page += 1
        if ID.fullmatch(text):
            with suppress(NotFound):
                found.append(await self._ask("GET", f"/api/v1/knowledge/{text}"))
        return found

    async def _user_id(self) -> str | None:
        """Return whose session this is; None with an API key, which does not tell."""
        try:
            return str((await self._ask("GET", "/api/v1/auths/"))["id"])
        except Forbidden:
            return None


async def states_in(answer: httpx.Response) -> AsyncIterator[State]:
    """Give the states in a stream of server-sent events, as long as it lasts."""
    try:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                said = json.loads(line.removeprefix("data: "))
                yield State(Status(said["status"]), said["stage"], said["progress"], said["error"])
    except httpx.TransportError:
        return


def raise_error(answer: httpx.Response) -> None:
    """Raise the error that an answer is, Later where the server asks to come back."""
    if not answer.is_error:
        return
    detail = detail_of(answer)
    kind = named_error(answer.headers.get(ERROR_NAME, "")) or ERRORS.get(answer.status_code)
    if kind is None:
        raise RaglineError(f"the server answered {answer.status_code}: {detail}")
    error = kind(as_text(detail))
    wait = answer.headers.get("Retry-After", "")
    if isinstance(error, TooMany | Unavailable) and wait.isdecimal():
        raise Later(error, float(wait))
    raise error


def named_error(name: str) -> type[RaglineError] | None:
    """Return the class of this name in the tree of errors."""
    kind = getattr(errors, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, RaglineError) else None


def detail_of(answer: httpx.Response) -> Any:
    """Return what an answer says of an error: Ragline's own, or what it passes on of a model server."""
    try:
        said = answer.json()
    except ValueError:
        return answer.reason_phrase
    match said:
        case {"detail": detail} | {"error": {"message": detail}} | {"error": str() as detail}:
            return detail
    return answer.reason_phrase


def as_text(detail: Any) -> str:
    """Return what a server says of an error as one line."""
    match detail:
        case str():
            return detail
        case [{"loc": list(), "msg": str()}, *_]:
            return problems(detail)
    return json.dumps(detail, ensure_ascii=False)
