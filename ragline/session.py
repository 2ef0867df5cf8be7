"""The Python API: ingest files and ask about them, in this process. `async with` inside an app, `with` in a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypedDict, Unpack

from ragline.app import App, open_app
from ragline.bootstrap import first_admin
from ragline.config.environment import quiet_libraries
from ragline.config.load import load_settings
from ragline.errors import BadInput, ParseFailed
from ragline.flows.runner import ingesting
from ragline.pipelines.accept import accept
from ragline.retrieval.answer import Question, answer, prepare, retrieve
from ragline.retrieval.filters import of_metadata
from ragline.retrieval.references import resolve
from ragline.types import (
    CollectionRecord,
    CollectionRef,
    Context,
    FileRecord,
    FileRef,
    Ref,
    Source,
    Status,
    TextRef,
    UrlRef,
    User,
)

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. `[n]` in `text` means the source with that number."""

    text: str
    sources: Sequence[Source]


class Named(TypedDict, total=False):
    """What a question is about; all of it together.

    `collection` is a name, `texts` are texts by their names, `urls` pages of the public web. `metadata` filters files
    and collection as in a chat (docs/references.md), `full` takes them whole instead of searching them.
    """

    files: Sequence[FileRecord]
    collection: str | None
    texts: Mapping[str, str]
    urls: Sequence[str]
    metadata: Mapping[str, object] | None
    full: bool


class Ragline:
    """An open installation, used as its administrator."""

    def __init__(self, app: App, user: User) -> None:
        self.app = app
        self._user = user

    async def ingest(self, *paths: Path | str, collection: str | None = None) -> list[FileRecord]:
        """Ingest files and return them when all can be searched; `collection` is the name of one to put them into.

        Raises UnsupportedFile or BadInput before anything is stored of the file in question, ParseFailed with the
        reason when one could not be read; the others are in.
        """
        target = (await self.collection(collection)).id if collection is not None else None
        files = []
        for path in map(Path, paths):
            with path.open("rb") as content:
                files.append(
                    await accept(
                        self.app, self._user, name=path.name, content=content, metadata={}, collection_id=target
                    )
                )
        done = [await self._finished(file) for file in files]
        if failed := [file for file in done if file.status is Status.FAILED]:
            raise ParseFailed("; ".join(f"{file.filename}: {file.error}" for file in failed))
        return done

    async def collection(self, name: str) -> CollectionRecord:
        """Return the collection of this name, made where there is none."""
        return await self.app.records.collections.named(name, self._user)

    async def retrieve(self, question: str, **named: Unpack[Named]) -> Context:
        """Return what fits a question best. Raises BadInput where nothing is named, and what a chat would answer."""
        refs = await self._refs(named)
        if not refs:
            raise BadInput("name what to search: files=…, collection=…, texts=… or urls=…")
        resolved = await resolve(self.app, refs, self._user)
        return await retrieve(self.app, question, resolved, max_tokens=self.app.settings.retrieval.context_tokens)

    async def ask(self, question: str, *, model: str = "extractive", **named: Unpack[Named]) -> Answer:
        """Return a model's answer from what is named. Raises NotFound for a model that no back end has."""
        asked = Question(model, [{"role": "user", "content": question}], await self._refs(named))
        prepared = await prepare(self.app, asked, self._user)
        completion = await answer(prepared)
        return Answer(text_of(completion), prepared.context.sources)

    async def _refs(self, named: Named) -> list[Ref]:
        metadata, full = named.get("metadata"), named.get("full", False)
        where = of_metadata(metadata) if metadata else None
        refs: list[Ref] = [FileRef(file.id, where, full) for file in named.get("files", ())]
        if collection := named.get("collection"):
            refs.append(CollectionRef((await self.collection(collection)).id, where, full))
        refs += [TextRef(name, content) for name, content in named.get("texts", {}).items()]
        return [*refs, *map(UrlRef, named.get("urls", ()))]

    async def _finished(self, file: FileRecord) -> FileRecord:
        with self.app.records.changes.watching(file.id) as changed:
            while (file := await self.app.records.files.get(file.id)).status not in (Status.COMPLETED, Status.FAILED):
                await changed.wait()
                changed.clear()
        return file


class BlockingRagline:
    """`Ragline` for scripts: the same methods, each waits for its result."""

    def __init__(self, rag: Ragline, portal: BlockingPortal) -> None:
        self._rag = rag
        self._portal = portal

    def ingest(self, *paths: Path | str, collection: str | None = None) -> list[FileRecord]:
        async def call() -> list[FileRecord]:
            return await self._rag.ingest(*paths, collection=collection)

        return self._portal.call(call)

    def retrieve(self, question: str, **named: Unpack[Named]) -> Context:
        async def call() -> Context:
            return await self._rag.retrieve(question, **named)

        return self._portal.call(call)

    def ask(self, question: str, *, model: str = "extractive", **named: Unpack[Named]) -> Answer:
        async def call() -> Answer:
            return await self._rag.ask(question, model=model, **named)

        return self._portal.call(call)


class open_ragline:
    """Open an installation: `async with open_ragline(…)` gives `Ragline`, `with open_ragline(…)` `BlockingRagline`.

    `data_dir` and the settings by dotted name (`**{"retrieval.top_k": 4}`) are stronger than ragline.toml and the
    environment. Raises SetupError, also when a running server has the folder.
    """

    def __init__(self, data_dir: Path | str | None = None, **settings: object) -> None:
        self._settings = load_settings(arguments={"data_dir": data_dir, **settings})
        self._async = AsyncExitStack()
        self._sync = ExitStack()

    async def __aenter__(self) -> Ragline:
        quiet_libraries()
        async with AsyncExitStack() as stack:
            app = await stack.enter_async_context(open_app(self._settings))
            user, _ = await first_admin(app.records, self._settings.auth)
            await stack.enter_async_context(ingesting(app))
            self._async = stack.pop_all()
            return Ragline(app, user)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._async.__aexit__(kind, error, traceback)

    def __enter__(self) -> BlockingRagline:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            rag = stack.enter_context(portal.wrap_async_context_manager(self))
            self._sync = stack.pop_all()
            return BlockingRagline(rag, portal)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sync.__exit__(kind, error, traceback)


def text_of(completion: object) -> str:
    """Return the text of an OpenAI completion; empty where the model only called tools."""
    match completion:
        case {"choices": [{"message": {"content": str(text)}}, *_]}:
            return text
    return ""
