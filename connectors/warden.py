"""The one who stands outside: starts a worker process, hands it tasks, watches what it uses, and ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ragline.config.environment import settings_files, worker_environment
from ragline.connectors.confined import Cell, Outcome, Walls
from ragline.connectors.outcomes import opened
from ragline.connectors.scratch import Scratch
from ragline.connectors.watch import Stopped, Watch, bury
from ragline.errors import Unavailable

if TYPE_CHECKING:
    from ragline.config.settings import Parsing

log = logging.getLogger(__name__)

PROGRAM: Final = (
    "import ast, sys; sys.path[:] = ast.literal_eval(sys.argv[1]); from ragline.connectors.confined import main; main()"
)
START_S = 60.0
"""Longest time for a process to start in."""
END_S = 5.0
"""Longest wait for a killed process: one that waits for a broken disk does not die."""
LOOK_S = 0.5
"""How often a process at work is looked at. Limits of the kernel hold meanwhile."""
RESULT_BASE_BYTES = 16 << 20
RESULT_BYTES_A_CHAR = 4
FOLDER = "workers"
"""In the data folder: on the disk of the files, so that they need not be copied to be read."""


class Died(Exception):
    """The process ended in the middle of a task, by itself or because it was told to. `code` is negative by signals."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Idle(Exception):
    """The process was gone before it had the task."""


class Warden:
    """One worker process from its start to its end. `walls`: what the kernel refuses it; `tasks`: how many it had."""

    def __init__(self, parsing: Parsing, scratch: Scratch, process: Process) -> None:
        self._parsing, self._scratch, self._process = parsing, scratch, process
        self._most_bytes = result_bytes(parsing)
        self._burial: asyncio.Task[None] | None = None
        self.tasks = 0
        self.walls = Walls(network=False, files=False)

    @classmethod
    async def start(cls, parsing: Parsing, home: Path | None) -> Warden:
        """Start a process and wait until its walls stand. `home` is a full path. Raises Unavailable."""
        try:
            folder = home / FOLDER if home else Path(tempfile.gettempdir())
            scratch = await asyncio.to_thread(Scratch, folder)
        except OSError as error:
            raise Unavailable(f"no folder for temporary files could be made: {error.strerror}") from error
        try:
            # A session of its own is a group of processes of its own: what it starts is killed with it.
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", PROGRAM, repr([*map(str, sys.path)])),
                stdin=PIPE,
                stdout=PIPE,
                env=worker_environment(scratch.writing),
                start_new_session=True,
                limit=1 << 20,
            )
        except OSError as error:
            scratch.remove()
            raise Unavailable(f"no process that reads files could be started: {error.strerror}") from error
        except BaseException:
            scratch.remove()
            raise
        warden = cls(parsing, scratch, process)
        hidden = [*settings_files(), *([home] if home else [])]
        try:
            async with asyncio.timeout(START_S):
                await warden._send(pickle.dumps(cell_of(parsing, scratch, hidden)))
                walls = opened(await warden._message(), ("ragline",))
            assert isinstance(walls, Walls)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            await asyncio.shield(warden.end())
            raise Unavailable("a process that reads files did not start; the server's log says why") from error
        except BaseException:
            await asyncio.shield(warden.end())
            raise
        warden.walls = walls
        tell(walls)
        return warden

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(
        self, function: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object], timeout_s: float
    ) -> Outcome:
        """Return what became of a call. Raises TimeoutError, Stopped, Died, Idle: then the process has to be ended."""
        self.tasks += 1
        if any(isinstance(argument, Path) for argument in (*args, *kwargs.values())):
            args = [await self._lent(argument) for argument in args]
            kwargs = {name: await self._lent(argument) for name, argument in kwargs.items()}
        task = pickle.dumps((function, tuple(args), dict(kwargs)), pickle.HIGHEST_PROTOCOL)
        async with asyncio.timeout(timeout_s):
            try:
                await self._send(task)
                del task
                await self._message()
            except (OSError, asyncio.IncompleteReadError):
                raise Idle from None
            try:
                message = await self._watched(self._message())
            except (OSError, asyncio.IncompleteReadError):
                raise Died(await self._process.wait()) from None
        package = function.__module__.partition(".")[0]
        try:
            outcome = opened(message, ("ragline", package))
        except Exception as error:  # noqa: BLE001  # any bytes at all may stand there
            outcome = Outcome(fault=f"{type(error).__name__}: {error}", tidy=False)
        await self._emptied()
        return outcome if isinstance(outcome, Outcome) else Outcome(fault="no outcome", tidy=False)

    def end(self) -> asyncio.Task[None]:
        """Kill the process and all that it started; the task ends when they and the folder are gone."""
        if self._burial is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._burial = asyncio.create_task(self._bury())
        return self._burial

    async def _bury(self) -> None:
        process = self._process
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
                await process.communicate()  # to the end of the pipe, so that it is closed
            await asyncio.to_thread(bury, process.pid)
        except TimeoutError:
            log.warning("worker %d was killed and does not die", process.pid)
        except OSError:  # of a pipe whose other end is gone
            pass
        finally:
            await asyncio.to_thread(self._scratch.remove)

    async def _lent(self, argument: object) -> object:
        """Return what the worker is given for an argument: for a file a name that it may open."""
        if not isinstance(argument, Path):
            return argument
        if not self.walls.files or not argument.is_file():
            return argument.absolute()
        try:
            return await asyncio.to_thread(self._scratch.lend, argument)
        except OSError as error:
            raise Unavailable(f"a file could not be handed to a worker: {error.strerror}") from error

    async def _send(self, message: bytes) -> None:
        into = self._process.stdin
        assert into is not None
        into.writelines((len(message).to_bytes(8, "big"), message))
        await into.drain()

    async def _message(self) -> bytes:
        """Return the next message of the process. Raises Stopped for one that is longer than any may be."""
        source = self._process.stdout
        assert source is not None
        size = int.from_bytes(await source.readexactly(8), "big")
        if size > self._most_bytes + RESULT_BASE_BYTES:  # it bounds itself, unless it is no longer itself
            raise Stopped("reading the file gave more than a worker may give back")
        return await source.readexactly(size)

    async def _watched(self, coming: Coroutine[None, None, bytes]) -> bytes:
        """Return what comes, and look meanwhile at what is used. Raises Stopped."""
        message = asyncio.create_task(coming)
        watch = Watch(self._parsing, self._scratch, self._process.pid)
        try:
            while not (await asyncio.wait({message}, timeout=LOOK_S))[0]:
                await asyncio.to_thread(watch.look)
            return await message
        finally:
            message.cancel()

    async def _emptied(self) -> None:
        if self._scratch.used():
            await asyncio.to_thread(self._scratch.empty)


@cache
def tell(walls: Walls) -> None:
    """Say in the log, once, what this system cannot do."""
    if not (walls.network and walls.files):
        log.warning("a process that reads files runs %s", walls)


def cell_of(parsing: Parsing, scratch: Scratch, hidden: Sequence[Path]) -> Cell:
    return Cell(
        memory_bytes=parsing.memory_mb << 20,
        file_bytes=parsing.max_disk_mb << 20,
        result_bytes=result_bytes(parsing),
        cpu_s=parsing.cpu_limit_s,
        reading=scratch.reading,
        writing=scratch.writing,
        hidden=hidden,
    )


def result_bytes(parsing: Parsing) -> int:
    return RESULT_BASE_BYTES + RESULT_BYTES_A_CHAR * parsing.max_text_chars
