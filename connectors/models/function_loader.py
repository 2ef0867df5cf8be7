"""The user's function models: found in a folder and in packages, loaded again when a file changes."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeAlias

from ragline.connectors.models.function_file import Function, forget, functions_in, load_file, told
from ragline.connectors.models.function_home import in_thread

log = logging.getLogger(__name__)

GROUP = "ragline.functions"
"""Entry point group of packages: `name = "module:attribute"`, a class, an object, a function or a module."""

WAIT_S = 0.5
"""How long a look waits for what loads: what takes longer, such as a large import, is served later."""

Stamp: TypeAlias = tuple[int, int, int]
"""When a file was changed in nanoseconds, its size, its inode: with another stamp it may have another content."""

ALWAYS: Stamp = (0, 0, 0)
"""Of a package, which does not change while the process lives."""


class Attempt:
    """One try to load, in a thread of its own: a file may do anything, and take for ever. `ended` comes last."""

    def __init__(self, name: str, stamp: Stamp, load: Callable[[], Sequence[Function]]) -> None:
        self.stamp = stamp
        self._since = time.monotonic()
        self.functions: Sequence[Function] = ()
        self.problem: str | None = None
        self.ended = threading.Event()
        in_thread(f"loading {name}", self._run, name, load)

    def _run(self, name: str, load: Callable[[], Sequence[Function]]) -> None:
        try:
            self.functions = load()
        except BaseException as error:
            # Anybody's code: `sys.exit()` in it must not end anything.
            self.problem = told(error, name)
            log.warning("functions in %s do not load: %s", name, self.problem, exc_info=error)
        self.ended.set()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._since


@dataclass(slots=True)
class Origin:
    """A file or a package. `serving` is what it last loaded without a problem."""

    name: str
    load: Callable[[], Sequence[Function]]
    attempt: Attempt | None = None
    serving: Sequence[Function] = ()

    def look(self, stamp: Stamp) -> Attempt:
        """Return the attempt to load this version, begun now where it is a new one."""
        if self.attempt is None or self.attempt.stamp != stamp:
            self.attempt = Attempt(self.name, stamp, self.load)
        return self.attempt

    def take(self) -> None:
        """Serve what was loaded, if it was."""
        attempt = self.attempt
        if attempt is None or not attempt.ended.is_set() or attempt.problem is not None:
            return
        if attempt.functions is not self.serving:
            self.retire()
            self.serving = attempt.functions

    def retire(self) -> None:
        for home in {function.home for function in self.serving}:
            home.retire()
        forget(self.serving)

    @property
    def problem(self) -> str | None:
        if self.attempt is None or self.attempt.ended.is_set():
            return self.attempt.problem if self.attempt is not None else None
        return f"is still loading after {self.attempt.age_s:.0f} s"


class FunctionLoader:
    """The functions of a folder and of installed packages, as they are now.

    A file that fails to load is logged once, and its last good version goes on to serve.
    """

    def __init__(self, folder: Path, *, group: str = GROUP) -> None:
        """`folder` need not be there. Nothing is read yet."""
        self._folder = folder
        self._group = group
        self._files: dict[str, Origin] = {}
        self._packages: Sequence[Origin] | None = None
        self._folder_problem: str | None = None
        self._taken: Mapping[str, str] = {}
        self._looking = asyncio.Lock()

    @property
    def problems(self) -> Mapping[str, str]:
        """What is not served, or not in its newest version, when last looked at: files and packages, and why."""
        found = dict(self._taken)
        if self._folder_problem is not None:
            found[str(self._folder)] = self._folder_problem
        return found | {each.name: each.problem for each in self._origins() if each.problem is not None}

    async def functions(self) -> Mapping[str, Function]:
        """Return the functions by their ids, those of files in the order of their names, then those of packages.

        Waits at most WAIT_S for what has to be loaded first.
        """
        async with self._looking:
            stamps = await asyncio.to_thread(self._look)
            for name in self._files.keys() - stamps.keys():
                self._files.pop(name).retire()
            attempts = [self._file(name).look(stamp) for name, stamp in stamps.items()]
            attempts += [each.look(ALWAYS) for each in await self._found_packages()]
            for attempt in attempts:
                if not attempt.ended.is_set() and attempt.age_s < WAIT_S:
                    await asyncio.to_thread(attempt.ended.wait, WAIT_S - attempt.age_s)
            for origin in self._origins():
                origin.take()
            return self._merged()

    async def settled(self, limit_s: float) -> Mapping[str, Function]:
        """Return the functions once nothing loads any more, or after `limit_s`."""
        deadline = time.monotonic() + limit_s
        found = await self.functions()
        for attempt in [each.attempt for each in self._origins()]:
            if attempt is not None and (left_s := deadline - time.monotonic()) > 0:
                await asyncio.to_thread(attempt.ended.wait, left_s)
        return await self.functions() if self.problems else found

    def close(self) -> None:
        """Cancel what runs and end all threads."""
        for origin in self._origins():
            for home in {function.home for function in origin.serving}:
                home.close()
            forget(origin.serving)

    def _origins(self) -> Iterator[Origin]:
        yield from (self._files[name] for name in sorted(self._files))
        yield from self._packages or ()

    def _look(self) -> dict[str, Stamp]:
        """Return the Python files of the folder, without those whose names begin with _ or a dot."""
        found: dict[str, Stamp] = {}
        problem = None
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.endswith(".py") and not entry.name.startswith(("_", ".")) and entry.is_file():
                        stat = entry.stat()
                        found[entry.name] = stat.st_mtime_ns, stat.st_size, stat.st_ino
        except FileNotFoundError:
            pass  # none, or one that went away just now
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        if problem is not None and problem != self._folder_problem:
            log.warning("the folder of functions %s %s", self._folder, problem)
        self._folder_problem = problem
        return found

    def _file(self, name: str) -> Origin:
        return self._files.setdefault(name, Origin(name, lambda: load_file(self._folder / name)))

    async def _found_packages(self) -> Sequence[Origin]:
        if self._packages is None:
            found = await asyncio.to_thread(lambda: sorted(entry_points(group=self._group), key=lambda each: each.name))
            self._packages = [_package(each) for each in found]
        return self._packages

    def _merged(self) -> Mapping[str, Function]:
        merged: dict[str, Function] = {}
        taken: dict[str, str] = {}
        for origin in self._origins():
            for function in origin.serving:
                first = merged.setdefault(function.id, function)
                if first is not function:
                    taken[origin.name] = f"its model {function.id!r} is left out: {first.origin} has one of this name"
        for name in taken.keys() - self._taken.keys():
            log.warning("functions in %s: %s", name, taken[name])
        self._taken = taken
        return merged


def _package(entry: EntryPoint) -> Origin:
    name = f"{entry.dist.name if entry.dist is not None else entry.module} ({entry.name})"
    return Origin(name, lambda: functions_in(entry.load(), entry.name, name))
