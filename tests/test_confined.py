"""What a worker cannot do: reach the network, see or change files of others, signal them, learn secrets, outlive."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # has no types
import pytest

from ragline.config.settings import Parsing
from ragline.connectors import landlock
from ragline.connectors.scratch import PREFIX, Scratch
from ragline.connectors.seccomp import (
    ALLOW,
    ANY_BIT,
    ARCHITECTURE_AT,
    AT_LEAST,
    EQUALS,
    FAIL_WITH,
    FIRST_ARGUMENT_AT,
    LOAD,
    MACHINES,
    NEVER,
    NUMBER_AT,
    RETURN,
    Machine,
    instructions,
)
from ragline.connectors.workers import Workers
from ragline.errors import OverLimit, ParseFailed

LIMITS = Parsing(workers=1, memory_mb=512, cpu_limit_s=1, max_disk_mb=8, max_text_chars=1_000_000)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
LANDLOCK = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    pool = Workers(LIMITS, home=tmp_path / "data")
    yield pool
    await pool.close()
    assert list((tmp_path / "data" / "workers").iterdir()) == []


def what_fails(call: Callable[[], object]) -> str:
    try:
        call()
    except OSError as error:
        return type(error).__name__
    return "nothing"


def sockets() -> dict[str, str]:
    libc = ctypes.CDLL(None, use_errno=True)
    return {
        "tcp": what_fails(lambda: socket.create_connection(("127.0.0.1", 9), timeout=1)),
        "udp": what_fails(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("127.0.0.1", 9))),
        "unix": what_fails(lambda: socket.socket(socket.AF_UNIX).connect("/run/some.socket")),
        "name": what_fails(lambda: socket.getaddrinfo("localhost", 80)),
        "c": str(libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)),
        "child": subprocess.run(
            [sys.executable, "-c", "import socket; socket.socket()"], stderr=subprocess.PIPE, check=False
        ).stderr.decode(),
        "pair": what_fails(socket.socketpair),
    }


@LINUX
async def test_there_is_no_network_for_python_for_libraries_and_for_children(workers: Workers) -> None:
    assert (await workers.walls()).network
    found = await workers.run(sockets, timeout_s=30)
    assert "PermissionError" in found.pop("child")
    assert found == {
        "tcp": "PermissionError",
        "udp": "PermissionError",
        "unix": "PermissionError",
        "name": "PermissionError",
        "c": "-1",
        "pair": "nothing",
    }


def audited() -> str:
    return what_fails(lambda: sys.audit("socket.connect", None, ("127.0.0.1", 9)))


async def test_python_refuses_connections_where_the_kernel_would_not(workers: Workers) -> None:
    assert await workers.run(audited, timeout_s=30) == "PermissionError"


def forbidden_calls() -> dict[str, int]:
    libc = ctypes.CDLL(None, use_errno=True)
    calls: dict[str, Callable[[], int]] = {
        "unshare": lambda: libc.unshare(0x10000000),
        "ptrace": lambda: libc.ptrace(16, os.getppid(), None, None),
        "setsid": libc.setsid,
        "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
        "io_uring_setup": lambda: libc.syscall(425, 1, None),
    }
    found = {}
    for name, call in calls.items():
        ctypes.set_errno(0)
        found[name] = ctypes.get_errno() if call() == -1 else 0
    return found


@LINUX
async def test_calls_that_no_reader_needs_are_refused(workers: Workers) -> None:
    found = await workers.run(forbidden_calls, timeout_s=30)
    assert found == dict.fromkeys(found, 1)


def answer(machine: Machine, architecture: int, number: int, argument: int = 0) -> int:
    """Run the filter as the kernel does and return its answer."""
    program = [struct.unpack("HBBI", step) for step in instructions(machine)]
    data = {NUMBER_AT: number, ARCHITECTURE_AT: architecture, FIRST_ARGUMENT_AT: argument}
    place = loaded = 0
    while True:
        code, yes, no, value = program[place]
        place += 1
        if code == RETURN:
            return int(value)
        if code == LOAD:
            loaded = data[value]
            continue
        holds = {EQUALS: loaded == value, AT_LEAST: loaded >= value, ANY_BIT: bool(loaded & value)}[code]
        place += yes if holds else no


@pytest.mark.parametrize(("name", "read", "fork_flags"), [("x86_64", 0, 0x01200011), ("aarch64", 63, 0x01200011)])
def test_the_filter_refuses_the_same_on_both_processors(name: str, read: int, fork_flags: int) -> None:
    machine = MACHINES[name]
    refused, missing = FAIL_WITH | errno.EPERM, FAIL_WITH | errno.ENOSYS
    here = partial(answer, machine, machine.architecture)
    assert {here(numbers[machine.column]) for numbers in NEVER.values()} == {refused}
    assert here(read) == here(machine.clone, fork_flags) == here(machine.socketpair, socket.AF_UNIX) == ALLOW
    assert here(machine.clone, 0x10000000 | fork_flags) == here(machine.socketpair, socket.AF_INET) == refused
    assert here(machine.clone3) == missing
    assert here(0x40000000 + read) == refused
    assert answer(machine, 0x40000003, read) == refused


def program(path: Path) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    subprocess.run([str(path)], check=False)


def look_around(given: Path, secret: str, outside: str) -> dict[str, str]:
    scratch = Path(tempfile.gettempdir(), "mine")
    return {
        "given": given.read_text(),
        "secret": what_fails(lambda: Path(secret).read_text()),
        "neighbour": what_fails(lambda: list(Path(secret).parent.iterdir())),
        "change given": what_fails(lambda: given.write_text("changed")),
        "remove given": what_fails(given.unlink),
        "write outside": what_fails(lambda: Path(outside).write_text("here")),
        "write scratch": what_fails(lambda: scratch.write_text("here")),
        "run what it wrote": what_fails(lambda: program(scratch.with_name("program"))),
        "link out": what_fails(lambda: os.link(secret, scratch.with_name("link"))),
        "other's memory": what_fails(lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes()),
        "child": subprocess.run(["/bin/cat", secret], stderr=subprocess.PIPE, check=False).stderr.decode(),
    }


@LANDLOCK
async def test_a_worker_sees_the_file_it_is_given_and_writes_to_its_own_folder_only(
    workers: Workers, tmp_path: Path
) -> None:
    secret = tmp_path / "data" / "jwt-secret"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("s3cret")
    given = tmp_path / "data" / "été.txt"
    given.write_text("café crème")
    found = await workers.run(look_around, given, str(secret), str(tmp_path / "new"), timeout_s=30)
    assert found.pop("given") == "café crème"
    assert found.pop("write scratch") == "nothing"
    assert "ermission denied" in found.pop("child")
    assert found.pop("link out") in ("PermissionError", "OSError")
    assert found == dict.fromkeys(found, "PermissionError")
    assert given.read_text() == "café crème"


def signal_parent() -> str:
    return what_fails(lambda: os.kill(os.getppid(), 0))


@pytest.mark.skipif(landlock.version() < 6, reason="Landlock bounds signals from version 6")
async def test_a_worker_cannot_signal_the_server(workers: Workers) -> None:
    assert await workers.run(signal_parent, timeout_s=30) == "PermissionError"


def test_around_leaves_out_what_is_hidden(tmp_path: Path) -> None:
    for folder in ("code/package", "code/ragline-data/vectors", "other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "code" / "ragline.toml").touch()
    hidden = [tmp_path / "code" / "ragline-data", tmp_path / "code" / "ragline.toml"]
    found = list(landlock.around(tmp_path / "code", landlock.USE, hidden))
    assert found == [(tmp_path / "code", landlock.LIST), (tmp_path / "code" / "package", landlock.USE)]
    assert list(landlock.around(tmp_path / "other", landlock.USE, hidden)) == [(tmp_path / "other", landlock.USE)]
    assert list(landlock.around(hidden[0], landlock.USE, hidden)) == []


def variables() -> list[str]:
    child = subprocess.run(["/usr/bin/env"], stdout=subprocess.PIPE, check=True).stdout.decode()
    own = Path("/proc/self/environ").read_bytes().decode() if sys.platform == "linux" else ""
    return [*os.environ, *os.environ.values(), child, own]


async def test_secrets_in_the_environment_do_not_reach_workers(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "RAGLINE_AUTH__JWT_SECRET", "PGPASSWORD"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("LC_TIME", "fr_FR.UTF-8")
    found = await workers.run(variables, timeout_s=30)
    assert "fr_FR.UTF-8" in found
    assert "s3cret" not in "\n".join(found)


def spin() -> None:
    while True:
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 20_000)


def spin_in_c() -> None:
    re.fullmatch("(a+)+", "a" * 60 + "b")


def spin_in_threads() -> None:
    for _ in range(3):
        threading.Thread(target=spin).start()
    spin()


def spin_in_a_child() -> None:
    subprocess.run([sys.executable, "-c", "while True: pass"], check=False)


@pytest.mark.parametrize(
    "work",
    [spin, spin_in_c, spin_in_threads, pytest.param(spin_in_a_child, marks=LINUX)],
)
async def test_cpu_time_is_limited_for_each_task_anew(workers: Workers, work: Callable[[], None]) -> None:
    for _ in range(2):
        with pytest.raises(ParseFailed, match=r"more than 1 s of CPU and was stopped.*parsing\.cpu_limit_s"):
            await workers.run(work, timeout_s=60)
    assert await workers.run(os.getpid, timeout_s=30) > 0


def ignore_and_spin() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    spin_in_c()


async def test_a_task_that_ignores_signals_ends_on_time(workers: Workers) -> None:
    start = time.monotonic()
    with pytest.raises(ParseFailed, match=r"took longer than 0\.3 s"):
        await workers.run(ignore_and_spin, timeout_s=0.3)
    assert time.monotonic() - start < 5


def fill_one_file() -> None:
    with Path(tempfile.gettempdir(), "one").open("wb") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))


def fill_many_files() -> None:
    for number in range(100):
        Path(tempfile.gettempdir(), str(number)).write_bytes(bytes(1 << 20))
        time.sleep(0.05)


@pytest.mark.parametrize("fill", [fill_one_file, fill_many_files])
async def test_the_disk_is_limited(workers: Workers, fill: Callable[[], None]) -> None:
    with pytest.raises(ParseFailed, match=r"parsing\.max_disk_mb"):
        await workers.run(fill, timeout_s=60)
    assert await workers.run(written, timeout_s=30) == []


def write_deep() -> str:
    folder = Path(tempfile.mkdtemp())
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "note").write_text("left")
    (folder / "out").symlink_to("/usr")
    return tempfile.gettempdir()


def written() -> list[str]:
    return os.listdir(tempfile.gettempdir())


def write_and_die() -> None:
    write_deep()
    os.kill(os.getpid(), signal.SIGKILL)


def missing(path: str) -> bool:
    return not os.path.exists(path)


async def test_what_a_task_wrote_is_gone_before_the_next_also_after_a_crash(workers: Workers) -> None:
    folder = await workers.run(write_deep, timeout_s=30)
    assert await workers.run(written, timeout_s=30) == []
    with pytest.raises(ParseFailed, match="crashed"):
        await workers.run(write_and_die, timeout_s=30)
    assert missing(folder)
    assert await workers.run(written, timeout_s=30) == []
    assert not missing("/usr/bin")


def test_folders_of_killed_servers_are_removed(tmp_path: Path) -> None:
    mine = Scratch(tmp_path)
    left, young = tmp_path / f"{PREFIX}left", tmp_path / f"{PREFIX}young"
    for folder in (left, young, tmp_path / "other"):
        folder.mkdir()
    for folder in (left, mine.path, tmp_path / "other"):
        os.utime(folder, (0, 0))
    Scratch(tmp_path).remove()
    assert sorted(tmp_path.iterdir()) == sorted([mine.path, young, tmp_path / "other"])
    mine.remove()


def eat_in_children() -> None:
    eat = "import time; kept = bytearray(200 << 20); time.sleep(60)"
    children = [subprocess.Popen([sys.executable, "-c", eat]) for _ in range(4)]
    for child in children:
        child.wait()


@LINUX
async def test_the_memory_of_children_counts(workers: Workers) -> None:
    with pytest.raises(ParseFailed, match=r"more than 512 MiB of memory.*parsing\.memory_mb"):
        await workers.run(eat_in_children, timeout_s=60)


def multiply() -> None:
    for _ in range(100):
        if os.fork() == 0:
            signal.pause()
    signal.pause()


def leave_a_child() -> int:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid


def still_there(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@LINUX
async def test_processes_are_limited_and_none_is_left(workers: Workers) -> None:
    pid = await workers.run(os.getpid, timeout_s=30)
    with pytest.raises(ParseFailed, match="started more than 32 processes"):
        await workers.run(multiply, timeout_s=60)
    assert [p for p in psutil.process_iter() if still_there(p.pid) and _group(p.pid) == pid] == []
    child = await workers.run(leave_a_child, timeout_s=30)
    assert not still_there(child)
    assert await workers.run(os.getpid, timeout_s=30) not in (pid, child)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def say_much() -> str:
    return "é" * 30_000_000


def say_more_than_memory() -> list[str]:
    return ["x" * 10**9]


def shout() -> None:
    """What a worker might do that is no longer itself: announce a message of 16 EiB."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b"\xff" * 8)
        except OSError:
            continue
    time.sleep(60)


class Trap:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def set_trap(marker: str) -> Trap:
    return Trap(marker)


async def test_a_result_that_is_too_large_does_not_reach_the_server(workers: Workers) -> None:
    await workers.run(os.getpid, timeout_s=30)
    before = psutil.Process().memory_info().rss
    with pytest.raises(OverLimit, match=r"too much to be taken over.*parsing\.max_text_chars"):
        await workers.run(say_much, timeout_s=30)
    with pytest.raises(ParseFailed, match="more than 512 MiB of memory"):
        await workers.run(say_more_than_memory, timeout_s=30)
    with pytest.raises(ParseFailed, match="more than a worker may give back"):
        await workers.run(shout, timeout_s=30)
    assert psutil.Process().memory_info().rss - before < 64 << 20


async def test_what_a_worker_gives_back_cannot_act_in_the_server(workers: Workers, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(RuntimeError, match="system, which is no plain data"):
        await workers.run(set_trap, str(marker), timeout_s=30)
    assert not marker.exists()
    assert await workers.run(os.getpid, timeout_s=30) > 0


def unpicklable() -> object:
    return lambda: None


def leave() -> None:
    sys.exit(3)


@pytest.mark.parametrize("function", [unpicklable, leave])
async def test_a_function_that_does_not_end_well_is_a_fault(workers: Workers, function: Callable[[], object]) -> None:
    first = await workers.run(os.getpid, timeout_s=30)
    with pytest.raises(RuntimeError, match="a worker failed"):
        await workers.run(function, timeout_s=30)
    assert await workers.run(os.getpid, timeout_s=30) == first


async def test_a_thousand_small_tasks_and_many_deaths_leave_nothing(workers: Workers) -> None:
    await workers.run(os.getpid, timeout_s=30)
    me = psutil.Process()
    before = (me.num_fds(), len(me.children(recursive=True)))
    for _ in range(5):
        with pytest.raises(ParseFailed):
            await workers.run(write_and_die, timeout_s=30)
        with pytest.raises(ParseFailed):
            await workers.run(time.sleep, 60, timeout_s=0.1)
        task = asyncio.create_task(workers.run(time.sleep, 60, timeout_s=60))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for _ in range(1000):
        await workers.run(abs, -1, timeout_s=30)
    assert (me.num_fds(), len(me.children(recursive=True))) == before
