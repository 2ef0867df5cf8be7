"""A Ragline server asked from Python: the same questions, answers and errors as of an installation of this process."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from types import TracebackType
from typing import Any, TypeVar

import httpx

from ragline.chatting import Asking, BlockingAsking
from ragline.client import ID, Client, Later, raise_error
from ragline.errors import BadInput, Invalid, NotFound, TooMany, Unavailable
from ragline.matches import Match, Matches
from ragline.place import Named, Wished, collections_of, files_of
from ragline.types import Json

T = TypeVar("T")

SILENCE_S = 300.0
"""Longest silence of a server that is asked: its model may think."""
CONNECT_S = 10.0
CHAT = "/api/chat/completions"
JSON = {"Content-Type": "application/json"}


class OverHttp(Client):
    """A server as a place to ask. It does not wait for a server that is away: every method raises Unavailable."""

    async def search(self, question: str, named: Named, wishes: Wished) -> Matches:
        body = encoded({**wishes, "query": question, "files": await self._references(named)})
        said = await self._ask("POST", "/api/v1/retrieval/search", timeout_s=SILENCE_S, content=body, headers=JSON)
        try:
            return Matches(tuple(map(Match.of_json, said["passages"])), tuple(said["notes"]), said["below"])
        except (KeyError, TypeError) as error:
            raise Unavailable(self._foreign) from error

    async def complete(self, body: Mapping[str, Json], named: Named) -> Mapping[str, Json]:
        asked = encoded({**body, "stream": False, **await self._files(named)})
        said = await self._ask("POST", CHAT, timeout_s=SILENCE_S, content=asked, headers=JSON)
        if not isinstance(said, Mapping):
            raise Unavailable(self._foreign)
        return said

    async def stream(self, body: Mapping[str, Json], named: Named) -> AsyncGenerator[Mapping[str, Json], None]:
        asked = encoded({**body, "stream": True, **await self._files(named)})
        answer = await self.patiently(lambda: self._opened(asked))
        try:
            async for line in answer.aiter_lines():
                data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if data == "[DONE]":
                    return
                if data.startswith("{"):
                    yield json.loads(data)
            raise Unavailable(f"the server at {self.url!r} broke off its answer")
        except (httpx.TransportError, json.JSONDecodeError) as broken:
            raise Unavailable(f"the server at {self.url!r} broke off its answer: {told(broken)}") from broken
        finally:
            await answer.aclose()

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` returns, called once: a program decides itself whether it asks again."""
        try:
            return await call()
        except Later as later:
            if isinstance(later.error, TooMany):
                later.error.retry_after_s = int(later.after_s)
            raise later.error from None
        except httpx.TransportError as broken:
            raise Unavailable(f"the server at {self.url!r} does not answer: {told(broken)}") from broken
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise Unavailable(self._foreign) from error

    @property
    def _foreign(self) -> str:
        return f"what answers at {self.url!r} is no Ragline server, or of another version"

    async def _opened(self, body: bytes) -> httpx.Response:
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        request = self._http.build_request("POST", CHAT, content=body, headers=JSON, timeout=timeout)
        answer = await self._http.send(request, stream=True)
        if answer.is_error:
            await answer.aread()
        raise_error(answer)
        return answer

    async def _files(self, named: Named) -> dict[str, Json]:
        references = await self._references(named)
        return {"files": references} if references else {}

    async def _references(self, named: Named) -> list[Json]:
        """Return what is named as references of a chat. Raises NotFound for a collection that is not there."""
        narrowed: dict[str, Any] = {}
        if metadata := named.get("metadata"):
            narrowed["metadata"] = metadata
        if named.get("full"):
            narrowed["context"] = "full"
        collections = [await self._collection_id(name) for name in collections_of(named)]
        return [
            *({"type": "file", "id": file_id, **narrowed} for file_id in files_of(named)),
            *({"type": "collection", "id": collection_id, **narrowed} for collection_id in collections),
            *({"type": "text", "name": name, "content": text} for name, text in named.get("texts", {}).items()),
            *({"type": "url", "url": url} for url in named.get("urls", ())),
        ]

    async def _collection_id(self, name: str) -> str:
        if ID.fullmatch(name):
            return name
        found = await self.known_collection(name)
        if found is None:
            raise NotFound(f"no collection {name!r}")
        return found


class Server(Asking):
    """A server that answers, asked as one user."""


class BlockingServer(BlockingAsking):
    """The same for scripts: each method waits for its result."""


class connect:
    """Ask a server: `async with connect(…)` gives `Server`, `with connect(…)` `BlockingServer`.

    Raises BadInput for what is no address, Unavailable where no Ragline answers.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"{url!r} is no address of a server: begin with http:// or https://")
        self._url = url
        self._api_key = api_key
        self._async = AsyncExitStack()
        self._sync = ExitStack()

    async def __aenter__(self) -> Server:
        async with AsyncExitStack() as stack:
            client = OverHttp(self._url, self._api_key)
            await stack.enter_async_context(client)
            await client.check()
            self._async = stack.pop_all()
            return Server(client)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._async.__aexit__(kind, error, traceback)

    def __enter__(self) -> BlockingServer:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            server = stack.enter_context(portal.wrap_async_context_manager(self))
            self._sync = stack.pop_all()
            return BlockingServer(server.place, server.loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sync.__exit__(kind, error, traceback)


def encoded(body: Mapping[str, object]) -> bytes:
    """Return a body; half a surrogate pair becomes a question mark. Raises Invalid for what JSON cannot hold."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"this cannot be sent to a server: {error}") from error


def told(error: Exception) -> str:
    return str(error) or type(error).__name__
