"""The Python API: ingest files and ask about them, in this process. `async with` inside an app, `with` in a script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Unpack

from ragline.app import App, open_app
from ragline.bootstrap import first_admin
from ragline.chatting import Asking, BlockingAsking
from ragline.config.environment import quiet_libraries
from ragline.config.load import load_settings
from ragline.errors import BadInput, ParseFailed, SetupError
from ragline.flows.runner import ingesting
from ragline.here import InProcess, references
from ragline.pipelines.accept import accept
from ragline.pipelines.choices import change, chosen
from ragline.place import Named
from ragline.retrieval.answer import retrieve
from ragline.retrieval.references import resolve
from ragline.types import SOURCE_KEY, CollectionRecord, Context, FileRecord, Json, Status, User


class Ragline(Asking):
    """An open installation, used as its administrator."""

    def __init__(self, app: App, user: User) -> None:
        super().__init__(InProcess(app, user))
        self.app = app
        self._user = user

    async def ingest(
        self,
        *paths: Path | str,
        collection: str | None = None,
        metadata: Mapping[str, Json] | None = None,
        password: str | None = None,
    ) -> list[FileRecord]:
        """Ingest files and return them when all can be searched; `collection` is the name of one to put them into.

        `metadata` is kept with each of them, for filters; `password` opens those that need one. Raises UnsupportedFile
        or BadInput before anything is stored of the file in question, ParseFailed with the reason when one could not be
        read; the others are in.
        """
        if SOURCE_KEY in (metadata or {}):
            raise BadInput(f"metadata: the key {SOURCE_KEY!r} is for files that a sync takes in")
        try:
            json.dumps(metadata, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BadInput(f"metadata: {error}; texts, numbers, true, false, lists and objects are stored") from error
        target = (await self.collection(collection)).id if collection is not None else None
        files = []
        for path in map(Path, paths):
            with path.open("rb") as content:
                files.append(
                    await accept(
                        self.app,
                        self._user,
                        name=path.name,
                        content=content,
                        metadata=metadata or {},
                        collection_id=target,
                        password=password,
                    )
                )
        done = [await self._finished(file) for file in files]
        if failed := [file for file in done if file.status is Status.FAILED]:
            raise ParseFailed("; ".join(f"{file.filename}: {file.error}" for file in failed))
        return done

    async def collection(self, name: str, *, options: Mapping[str, object] | None = None) -> CollectionRecord:
        """Return the collection of this name, made where there is none.

        `options`, such as `{"chunking": {"profile": "qa"}}`, take the place of all it had; what is in it is read again
        in the background, if that changes anything. Raises BadInput for what is no option.
        """
        collections = self.app.records.collections
        found = await collections.named(name, self._user)
        if options is None:
            return found
        await change(self.app, found, chosen(options))
        return await collections.visible(found.id, self._user)

    async def retrieve(self, question: str, **named: Unpack[Named]) -> Context:
        """Return what a model would be given. Raises BadInput where nothing is named, and what a chat would answer."""
        refs = await references(self.app, self._user, named)
        if not refs:
            raise BadInput("name what to search: files=…, collection=…, texts=… or urls=…")
        resolved = await resolve(self.app, refs, self._user)
        return await retrieve(self.app, question, resolved, max_tokens=self.app.settings.retrieval.context_tokens)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how long texts are in tokens of the embedding model, as `RaglineNodeParser` wants to know it."""
        return self.app.embedder.count_tokens(texts)

    async def _finished(self, file: FileRecord) -> FileRecord:
        with self.app.records.changes.watching(file.id) as changed:
            while (file := await self.app.records.files.get(file.id)).status not in (Status.COMPLETED, Status.FAILED):
                await changed.wait()
                changed.clear()
        return file


class BlockingRagline(BlockingAsking):
    """`Ragline` for scripts: the same methods, each waits for its result."""

    def __init__(self, rag: Ragline) -> None:
        super().__init__(rag.place, rag.loop)
        self.app = rag.app
        self._rag = rag

    def ingest(
        self,
        *paths: Path | str,
        collection: str | None = None,
        metadata: Mapping[str, Json] | None = None,
        password: str | None = None,
    ) -> list[FileRecord]:
        return self.loop.wait(
            lambda: self._rag.ingest(*paths, collection=collection, metadata=metadata, password=password)
        )

    def collection(self, name: str, *, options: Mapping[str, object] | None = None) -> CollectionRecord:
        return self.loop.wait(lambda: self._rag.collection(name, options=options))

    def retrieve(self, question: str, **named: Unpack[Named]) -> Context:
        return self.loop.wait(lambda: self._rag.retrieve(question, **named))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._rag.count_tokens(texts)


class open_ragline:
    """Open an installation: `async with open_ragline(…)` gives `Ragline`, `with open_ragline(…)` `BlockingRagline`.

    `data_dir` and the settings by dotted name (`**{"retrieval.top_k": 4}`) are stronger than ragline.toml and the
    environment. Raises SetupError, also when a running server has the folder.
    """

    def __init__(self, data_dir: Path | str | None = None, **settings: object) -> None:
        self._settings = load_settings(arguments={"data_dir": data_dir, **settings})
        self._async = AsyncExitStack()
        self._sync = ExitStack()

    def check_installed(self) -> None:
        """Raise SetupError where there is nothing yet: who only asks must not make an empty installation."""
        folder = self._settings.data_dir
        if self._settings.database.url is None and not (folder / "ragline.db").exists():
            raise SetupError(f"no installation in {str(folder)!r} (data_dir): ingest something first, or name another")

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
            return BlockingRagline(rag)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sync.__exit__(kind, error, traceback)
