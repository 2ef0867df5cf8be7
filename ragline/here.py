"""The installation of this process as a place to ask."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from pydantic import ValidationError

from ragline.app import App
from ragline.connectors.models.openai_wire import objects_of
from ragline.errors import Invalid, problems
from ragline.matches import Matches
from ragline.place import Named, Wished, collections_of, files_of
from ragline.retrieval.answer import Prepared, Question, answer, beginning, prepare, stream
from ragline.retrieval.filters import of_metadata
from ragline.retrieval.wishes import Wishes, matches
from ragline.types import CollectionRef, FileRef, Json, Ref, TextRef, UrlRef, User


class InProcess:
    """Asks as one user."""

    def __init__(self, app: App, user: User) -> None:
        self._app = app
        self._user = user

    async def search(self, question: str, named: Named, wishes: Wished) -> Matches:
        try:
            wanted = Wishes.model_validate(wishes)
        except ValidationError as error:
            raise Invalid(problems(error.errors())) from None
        return await matches(self._app, await references(self._app, self._user, named), self._user, question, wanted)

    async def complete(self, body: Mapping[str, Json], named: Named) -> Mapping[str, Json]:
        return await answer(await self._prepared(body, named))

    async def stream(self, body: Mapping[str, Json], named: Named) -> AsyncGenerator[Mapping[str, Json], None]:
        prepared = await self._prepared({**body, "stream": True}, named)
        if prepared.sources is not None:
            yield beginning(prepared)
        async with aclosing(stream(prepared)) as events:
            async for some in events:
                for event in objects_of(some):
                    yield event

    async def _prepared(self, body: Mapping[str, Json], named: Named) -> Prepared:
        parameters = {key: value for key, value in body.items() if key not in ("model", "messages")}
        messages = body["messages"]
        assert isinstance(messages, list)
        question = Question(
            str(body["model"]), messages, await references(self._app, self._user, named), parameters=parameters
        )
        return await prepare(self._app, question, self._user)


async def references(app: App, user: User, named: Named) -> list[Ref]:
    """Return what is named as references of a chat. Raises NotFound for a collection that is not there, Invalid."""
    metadata, full = named.get("metadata"), named.get("full", False)
    where = of_metadata(metadata) if metadata else None
    refs: list[Ref] = [FileRef(file_id, where, full) for file_id in files_of(named)]
    collections = [await app.records.collections.meant(name, user) for name in collections_of(named)]
    refs += [CollectionRef(collection.id, where, full) for collection in collections]
    refs += [TextRef(name, content) for name, content in named.get("texts", {}).items()]
    return [*refs, *map(UrlRef, named.get("urls", ()))]
