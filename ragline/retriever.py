"""`Retriever`: passages that fit a question, from an installation of this process or from a server, from any code."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Unpack

from ragline.errors import BadInput, Unavailable
from ragline.loops import Loop
from ragline.matches import Matches
from ragline.place import Place, Sought, checked, instead, parted

CLOSING: set[threading.Thread] = set()
"""What is being closed of retrievers that nobody has any more: their folders cannot be opened until then."""


CLOSE_S = 30.0


class Opened(Protocol):
    """What is open already: `Ragline`, `BlockingRagline`, `Server` or `BlockingServer`."""

    @property
    def place(self) -> Place: ...

    @property
    def loop(self) -> Loop: ...


class Retriever:
    """Finds passages of collections and files, for any thread, with an event loop or without.

    What it asks is `opened`, or the installation in `data_dir` (with `settings` by dotted name), or the server at `url`
    as the user of `api_key`. What it opens itself lives in a thread of its own, from its first use or the beginning of
    the block of `with` or `async with` until `close`, the end of the block or of the program.

    What is to be searched and how (docs/python.md) can be other for each question.
    """

    def __init__(
        self,
        opened: Opened | None = None,
        *,
        data_dir: Path | str | None = None,
        settings: Mapping[str, object] | None = None,
        url: str | None = None,
        api_key: str | None = None,
        **sought: Unpack[Sought],
    ) -> None:
        """Raises BadInput for more than one of `opened`, `data_dir` and `url`, and for an unknown option."""
        if sum(each is not None for each in (opened, data_dir, url)) > 1:
            raise BadInput("give one of an open Ragline, data_dir=… and url=…")
        if api_key is not None and url is None:
            raise BadInput("api_key=… is for a server: name it with url=…")
        self._opened = opened
        self._own = None if opened is not None else Own(data_dir, settings or {}, url, api_key)
        self._sought = checked(sought)

    async def aretrieve(self, question: str, **sought: Unpack[Sought]) -> Matches:
        """Return the passages that fit a question best, best first; a blank one has none.

        Files or a collection named here take the place of those of the retriever. Raises BadInput where nothing is
        named or an option is out of its bounds, NotFound for what is not there or not to be seen, and Unavailable.
        """
        opened = self._opened if self._opened is not None else await asyncio.to_thread(self._open)
        return await opened.loop.there(lambda: self._search(opened, question, sought))

    def retrieve(self, question: str, **sought: Unpack[Sought]) -> Matches:
        """The same, and wait for it. Raises Conflict where it would wait for the event loop that it stops."""
        opened = self._opened if self._opened is not None else self._open()
        return opened.loop.wait(lambda: self._search(opened, question, sought))

    def close(self) -> None:
        """Close what the retriever has opened itself; once is enough."""
        if self._own is not None:
            self._own.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Retriever:
        if self._own is not None:
            self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Retriever:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _search(self, opened: Opened, question: str, sought: Sought) -> Matches:
        return await opened.place.search(question, *parted(instead(self._sought, checked(sought))))

    def _open(self) -> Opened:
        assert self._own is not None
        return self._own.opened()


class Own:
    """What a retriever opens itself, once, when it is first needed."""

    def __init__(
        self, data_dir: Path | str | None, settings: Mapping[str, object], url: str | None, api_key: str | None
    ) -> None:
        self._data_dir, self._settings, self._url, self._api_key = data_dir, settings, url, api_key
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._stack: ExitStack | None = ExitStack()

    def opened(self) -> Opened:
        """Return it, opened now where it was not. Raises Unavailable after `close`, SetupError."""
        with self._lock:
            if self._stack is None:
                raise Unavailable("this retriever has been closed: make another one")
            if self._opened is None:
                for thread in tuple(CLOSING):
                    if thread.is_alive():  # one that begins just now cannot be waited for
                        thread.join(CLOSE_S)
                self._opened = self._open(self._stack)
                # A program ends without its threads of pools, so this must come before they do; a notebook runs the
                # cell that makes a retriever again and again.
                threading._register_atexit(self._stack.close)  # type: ignore[attr-defined]
                weakref.finalize(self, in_background, self._stack).atexit = False  # type: ignore[misc]  # a property
            return self._opened

    def close(self) -> None:
        with self._lock:
            stack, self._stack, self._opened = self._stack, None, None
        if stack is not None:
            stack.close()

    def _open(self, stack: ExitStack) -> Opened:
        if self._url is not None:
            from ragline.remote import connect

            return stack.enter_context(connect(self._url, self._api_key))
        from ragline.session import open_ragline

        installation = open_ragline(self._data_dir, **self._settings)
        installation.check_installed()
        return stack.enter_context(installation)


def in_background(stack: ExitStack) -> None:
    """Close what nobody has any more, in a thread: garbage is collected in any one, also in that which would do it."""
    thread = threading.Thread(target=stack.close, name="ragline-closing")
    CLOSING.add(thread)
    thread.start()
    for ended in [each for each in tuple(CLOSING) if not each.is_alive()]:
        CLOSING.discard(ended)
