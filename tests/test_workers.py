"""A task that hangs, bursts or crashes fails alone; the next one works."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragline.config.settings import Parsing
from ragline.connectors.workers import Workers
from ragline.errors import BackendError, NotFound, ParseFailed, Unavailable


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    pool = Workers(Parsing(workers=1, memory_mb=512))
    yield pool
    await pool.close()


def double(number: int) -> int:
    return number * 2


def process_id() -> int:
    return os.getpid()


def hang(_: int) -> None:
    signal.pause()


def eat_memory() -> int:
    return len([bytearray(1 << 20) for _ in range(4096)])


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fail() -> None:
    raise NotFound("no page 12")


def fail_upstream() -> None:
    raise BackendError("down", upstream=(503, b"busy", {"retry-after": "1"}))


class Unpicklable(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


def fail_foreign() -> None:
    raise Unpicklable("one", "two")


def core_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_CORE)[0]


async def test_a_worker_returns_the_result_and_is_kept(workers: Workers) -> None:
    assert await workers.run(double, 21, timeout_s=30) == 42
    first = await workers.run(process_id, timeout_s=30)
    assert first != os.getpid()
    assert await workers.run(process_id, timeout_s=30) == first
    assert await workers.run(core_limit, timeout_s=30) == 0


async def test_a_task_that_hangs_is_stopped_and_the_next_works(workers: Workers) -> None:
    with pytest.raises(ParseFailed, match=r"took longer than 0\.3 s"):
        await workers.run(hang, 1, timeout_s=0.3)
    assert await workers.run(double, 2, timeout_s=30) == 4


async def test_a_task_that_eats_memory_fails_alone(workers: Workers) -> None:
    with pytest.raises(ParseFailed, match="more than 512 MiB of memory"):
        await workers.run(eat_memory, timeout_s=60)
    assert await workers.run(double, 3, timeout_s=30) == 6


async def test_a_crash_fails_alone(workers: Workers) -> None:
    for number in range(3):
        with pytest.raises(ParseFailed, match="crashed"):
            await workers.run(crash, timeout_s=30)
        assert await workers.run(double, number, timeout_s=30) == number * 2


def wait_until_reaped(pid: int) -> None:
    """Return when there is no such process; its parent reaps it when it notices that it died."""
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until, f"process {pid} is still there"
        time.sleep(0.02)


async def test_an_idle_worker_that_was_killed_is_replaced(workers: Workers) -> None:
    pid = await workers.run(process_id, timeout_s=30)
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(wait_until_reaped, pid)
    assert await workers.run(double, 4, timeout_s=30) == 8


async def test_errors_of_ragline_travel_unchanged(workers: Workers) -> None:
    with pytest.raises(NotFound, match="^no page 12$"):
        await workers.run(fail, timeout_s=30)
    with pytest.raises(BackendError, match="^down$") as caught:
        await workers.run(fail_upstream, timeout_s=30)
    assert caught.value.upstream == (503, b"busy", {"retry-after": "1"})


async def test_foreign_errors_travel_as_text(workers: Workers) -> None:
    with pytest.raises(RuntimeError, match="Unpicklable: one"):
        await workers.run(fail_foreign, timeout_s=30)
    assert await workers.run(double, 5, timeout_s=30) == 10


async def test_cancelling_frees_the_worker(workers: Workers) -> None:
    await workers.run(double, 1, timeout_s=30)
    task = asyncio.create_task(workers.run(hang, 1, timeout_s=60))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await workers.run(double, 6, timeout_s=30) == 12


async def test_closing_is_quick_and_ends_what_runs() -> None:
    workers = Workers(Parsing(workers=2, memory_mb=512))
    pids = await asyncio.gather(*(workers.run(process_id, timeout_s=30) for _ in range(2)))
    running = [asyncio.create_task(workers.run(hang, n, timeout_s=60)) for n in range(3)]
    await asyncio.sleep(0.3)
    start = time.monotonic()
    await workers.close()
    assert time.monotonic() - start < 5
    assert [type(r) for r in await asyncio.gather(*running, return_exceptions=True)] == [Unavailable] * 3
    for pid in pids:
        wait_until_reaped(pid)
    with pytest.raises(Unavailable):
        await workers.run(double, 1, timeout_s=30)
    await workers.close()


async def test_no_process_starts_before_the_first_task() -> None:
    before = len(multiprocessing.active_children())
    workers = Workers(Parsing(workers=8, memory_mb=512))
    assert len(multiprocessing.active_children()) == before
    await workers.close()


SERVER = """
import asyncio, os, signal, time
from ragline.config.settings import Parsing
from ragline.connectors.workers import Workers

async def main():
    workers = Workers(Parsing(workers=1, memory_mb=512))
    print(await workers.run(os.getpid, timeout_s=30), flush=True)
    await workers.run(time.sleep, 600, timeout_s=600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_workers_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        server.kill()
    wait_until_reaped(worker)


def not_loaded() -> None:
    raise Unavailable("a library is not whole")


async def test_a_process_in_which_something_could_not_be_loaded_is_replaced() -> None:
    workers = Workers(Parsing(workers=1))
    first = await workers.run(os.getpid, timeout_s=60)
    with pytest.raises(Unavailable, match="not whole"):
        await workers.run(not_loaded, timeout_s=60)
    assert await workers.run(os.getpid, timeout_s=60) != first
    await workers.close()
