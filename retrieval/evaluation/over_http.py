"""Questions of a golden set, asked of a server over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TypedDict

import httpx

from ragline.errors import (
    BadInput,
    Forbidden,
    Invalid,
    NotFound,
    NotReady,
    NotSignedIn,
    RaglineError,
    TooLarge,
    TooMany,
    Unavailable,
)
from ragline.retrieval.evaluation.asking import Tried
from ragline.retrieval.evaluation.matching import Seen, last_part
from ragline.retrieval.evaluation.results import Row
from ragline.types import Json

PATH = "/api/v1/retrieval/trial"
ROUTES = (PATH, "/api/v1/files")
"""What a key has to be good for."""
TIMEOUT_S = 120.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAX_NAME_CHARS = 255
ERRORS: Mapping[int, type[RaglineError]] = {
    400: BadInput,
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: NotReady,
    413: TooLarge,
    422: Invalid,
    429: TooMany,
    503: Unavailable,
}


class SeenWire(TypedDict):
    """A passage in the wire format."""

    file_id: str
    name: str
    text: str
    page: int | None
    page_end: int | None


class TrialWire(TypedDict):
    """The answer of PATH. `rows` have positions in `passages`."""

    passages: list[SeenWire]
    rows: dict[Row, list[int]]
    embed_s: float
    search_s: float
    notes: list[str]
    says: dict[str, str]


class OverHttp:
    """A server. Use it as `async with`."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(TIMEOUT_S, connect=10.0),
            trust_env=httpx.URL(self.url).host not in LOOPBACK,
        )

    async def __aenter__(self) -> OverHttp:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def ask(self, question: str, collection: str | None, values: Mapping[str, str]) -> Tried:
        body: dict[str, Json] = {"query": question, "collection_name": collection, "retrieval": dict(values)}
        said = await self._post(PATH, body)
        try:
            passages = [Seen(**one) for one in said["passages"]]
            rows: dict[Row, Sequence[Seen]] = {
                row: [passages[number] for number in numbers] for row, numbers in said["rows"].items()
            }
            return Tried(rows, said["embed_s"], said["search_s"], said["notes"], said["says"])
        except (KeyError, TypeError, IndexError) as error:
            raise Unavailable(f"what answers at {self.url!r} is no Ragline server of this version") from error

    async def has_file(self, named: str) -> bool:
        if ID.fullmatch(named):
            return (await self._http.get(f"/api/v1/files/{named}")).is_success
        pattern = re.sub(r"[*?\[\]]", "?", last_part(named))[:MAX_NAME_CHARS]
        answer = await self._http.get(
            "/api/v1/files/search", params={"filename": pattern, "content": "false", "limit": 1}
        )
        return answer.is_success and bool(answer.json())

    async def _post(self, path: str, body: Mapping[str, Json]) -> TrialWire:
        try:
            answer = await self._http.post(path, json=body)
            said: TrialWire = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"no Ragline server answers at {self.url!r}: {error or type(error).__name__}") from error
        if answer.is_error:
            detail = said.get("detail") if isinstance(said, dict) else None
            kind = ERRORS.get(answer.status_code, RaglineError)
            raise kind(detail if isinstance(detail, str) else f"the server answered {answer.status_code}: {detail}")
        return said
