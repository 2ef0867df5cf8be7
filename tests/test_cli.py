"""The command line without a server: arguments, files that they mean, what is printed, and a server that is busy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ragline.app import Stores, open_stores
from ragline.bootstrap import first_admin
from ragline.cli import main
from ragline.cli.paths import find
from ragline.cli.shown import MAX_ROWS, plain, print_table
from ragline.client import Client
from ragline.config.environment import child_environment
from ragline.config.settings import Settings
from ragline.connectors.sources.globs import Globs
from ragline.errors import TooLarge, Unavailable
from ragline.types import FileRecord

from .serving import served

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def invoke(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command: str) -> None:
    code, output = invoke(command, "--help")
    assert code == 0
    assert f"Usage: main {command}" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["ingest"], "Missing argument", id="no-path"),
        pytest.param(["ingest", "a.md", "--key", "sk-1"], "--server", id="key-without-server"),
        pytest.param(["ingest", "a.md", "--include", "!"], "include: pattern '!'", id="bad-pattern"),
        pytest.param(["sync"], "--all", id="no-source"),
        pytest.param(["sync", "docs", "--all"], "--all", id="source-and-all"),
        pytest.param(["retry"], "--all", id="nothing-to-retry"),
        pytest.param(["retry", "x", "--all"], "--all", id="ids-and-all"),
        pytest.param(["retry", "x", "--exhausted"], "--all", id="exhausted-without-all"),
        pytest.param(["cancel"], "Missing argument", id="nothing-to-cancel"),
    ],
)
def test_wrong_arguments_are_exit_code_2_and_say_what_is_meant(arguments: list[str], said: str) -> None:
    code, output = invoke(*arguments)
    assert code == 2
    assert said in output


def test_no_installation_is_an_error_and_none_is_made(tmp_path: Path) -> None:
    code, output = invoke("queue", "--data-dir", tmp_path / "none")
    assert (code, "no installation in" in output) == (1, True)
    assert not (tmp_path / "none").exists()


def test_no_prefect_server_is_an_error_that_says_how_to_have_one(tmp_path: Path, dead_url: str) -> None:
    code, output = invoke("flows", "deploy", "--data-dir", tmp_path)
    assert (code, "ragline serve" in output) == (1, True)
    (tmp_path / "ragline.toml").write_text(f'[prefect]\napi_url = "{dead_url}/api"\n')
    done = run("flows", "deploy", "--data-dir", tmp_path, "--config", tmp_path / "ragline.toml")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert dead_url in done.stderr


def test_a_source_that_is_not_there_is_named_with_the_known_ones(tmp_path: Path) -> None:
    code, output = invoke("sync", "docs", "--data-dir", tmp_path)
    assert (code, "no source 'docs'" in output) == (1, True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.md", "b.txt", "sub/c.md", "sub/deep/d.md", ".hidden.md", ".git/e.md"):
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text(name)
    return tmp_path / "docs"


@pytest.mark.parametrize(
    ("include", "exclude", "found"),
    [
        pytest.param(["**"], [], ["a.md", "b.txt", "sub/c.md", "sub/deep/d.md"], id="all-but-hidden"),
        pytest.param(["*.md"], [], ["a.md", "sub/c.md", "sub/deep/d.md"], id="include"),
        pytest.param(["**"], ["sub/deep/", "*.txt"], ["a.md", "sub/c.md"], id="exclude"),
    ],
)
def test_a_folder_means_the_files_in_it(folder: Path, include: list[str], exclude: list[str], found: list[str]) -> None:
    assert [each.inside for each in find([folder], Globs(include, exclude))] == found


def test_a_file_that_is_named_is_taken_whatever_the_patterns_and_once(folder: Path) -> None:
    found = find([folder / ".hidden.md", folder / "b.txt", folder, folder / "a.md"], Globs(["*.txt"], []))
    assert [each.path.name for each in found] == [".hidden.md", "b.txt", "a.md"]


def test_what_cannot_be_read_has_a_reason(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder)
    (folder / "broken.md").symlink_to(folder / "nothing")
    found = {each.path.name: each.problem for each in find([folder / "none.md", folder / "pipe"], Globs(["**"], []))}
    assert found == {"none.md": "No such file or directory", "pipe": "it is no file and no folder"}
    names = [each.inside for each in find([folder], Globs(["**"], []))]
    assert names == ["a.md", "b.txt", "broken.md", "sub/c.md", "sub/deep/d.md"]


def test_what_comes_from_elsewhere_cannot_move_the_cursor() -> None:
    assert plain("a\x1b[2J\nb\udcff") == "a�[2J�b\\udcff"


def test_a_long_table_is_cut_unless_all_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"file {number}", "") for number in range(MAX_ROWS + 2)]
    print_table(("name", "reason"), rows, all_rows=False)
    assert capsys.readouterr().out.splitlines()[-1] == "… and 2 more (--verbose shows all)"
    print_table(("name", "reason"), rows, all_rows=True)
    assert capsys.readouterr().out.splitlines()[-1] == f"file {MAX_ROWS + 1}"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ragline", *map(str, arguments)]
    return subprocess.run(
        command, env=child_environment(), capture_output=True, text=True, timeout=120, check=False, cwd="/"
    )


async def waiting(stores: Stores, name: str) -> FileRecord:
    """A file in the queue, of which nothing but its row is there."""
    admin, _ = await first_admin(stores.records.users, stores.settings.auth)
    return await stores.records.files.add(
        file_id=f"id-of-{name}",
        user_id=admin.id,
        filename=name,
        content_type="text/plain",
        size_bytes=1,
        sha256="0",
        blob="files/none",
        metadata={},
    )


async def test_the_queue_is_shown_cancelled_and_retried(tmp_path: Path) -> None:
    async with open_stores(Settings(data_dir=tmp_path)) as stores:
        for name in ("one.txt", "two.txt", "three.txt"):
            await waiting(stores, name)
        claim = await stores.records.queue.claim("me", lane="small", small_bytes=9, limit=1, max_bytes=9)
        assert claim is not None
        await stores.records.queue.put_back(claim.files[0].id, claim.lease, "a service was away", pause_s=3600)
    at = ("--data-dir", str(tmp_path))
    code, output = await asyncio.to_thread(invoke, "queue", *at)
    assert (code, output.splitlines()[-1]) == (0, "3 pending")
    assert "a service was away" in output
    code, output = await asyncio.to_thread(invoke, "cancel", "id-of-two.txt", "nobody", *at)
    assert (code, output.splitlines()) == (1, ["id-of-two.txt: cancelled", "nobody: no such file"])
    code, output = await asyncio.to_thread(invoke, "queue", "--failed", *at)
    assert (code, output.splitlines()[-1]) == (0, "1 failed")
    assert output.splitlines()[1].split() == ["id-of-two.txt", "two.txt", "failed", "queued", "0", "cancelled"]
    code, output = await asyncio.to_thread(invoke, "retry", "id-of-two.txt", "id-of-one.txt", *at)
    assert code == 1
    assert output.splitlines()[0].startswith("id-of-two.txt: waits again")
    assert output.splitlines()[1] == "id-of-one.txt: it is pending: only a failed file can be retried"
    assert await asyncio.to_thread(invoke, "retry", "--all", *at) == (0, "no failed files\n")
    code, output = await asyncio.to_thread(invoke, "cancel", "id-of-two.txt", "id-of-three.txt", *at)
    assert code == 0
    code, output = await asyncio.to_thread(invoke, "retry", "--all", "--exhausted", *at)
    assert (code, output) == (0, "no failed files\n")
    code, output = await asyncio.to_thread(invoke, "retry", "--all", *at)
    assert (code, output.startswith("2 files wait again")) == (0, True)


class Double:
    """An ASGI server that answers uploads with what it is told, one after the other, and never ends a file."""

    def __init__(self, *uploads: tuple[int, str]) -> None:
        self.uploads = list(uploads)
        self.followed = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        if scope["path"].endswith("/process/status"):
            self.followed.set()
            await answer(send, 200, b'data: {"status":"pending","stage":"queued","progress":0,"error":null}\n\n', True)
            while (await receive())["type"] != "http.disconnect":
                pass
        elif scope["path"] == "/api/version":
            await answer(send, 200, b'{"version": "1"}')
        elif scope["method"] == "GET":
            await answer(send, 200, b'{"items": [], "total": 0}')
        else:
            status, said = self.uploads.pop(0)
            await answer(send, status, said.encode(), retry_after=b"0")


async def answer(send: Send, status: int, body: bytes, more: bool = False, retry_after: bytes = b"") -> None:
    headers = [(b"retry-after", retry_after)] if status in (429, 503) else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})


@contextmanager
def double(*uploads: tuple[int, str]) -> Iterator[tuple[Double, str]]:
    app = Double(*uploads)
    with served(app) as url:
        yield app, url


async def test_a_server_that_is_busy_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    busy = '{"detail": "10000 files wait"}'
    with double((429, busy), (503, busy), (429, busy), (200, '{"id": "f"}')) as (app, url):
        async with Client(url, None) as client:
            made = await client.patiently(lambda: client.upload(tmp_path / "a.md", name="a.md", metadata={}))
    assert (made, app.uploads) == ("f", [])


async def test_what_the_server_says_is_the_error(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    with double((413, '{"detail": "too large for me"}')) as (_, url):
        async with Client(url, None) as client:
            with pytest.raises(TooLarge, match="^too large for me$"):
                await client.upload(tmp_path / "a.md", name="a.md", metadata={})


async def test_where_no_server_answers_nothing_is_waited_for(dead_url: str) -> None:
    async with Client(dead_url, None) as client:
        with pytest.raises(Unavailable, match=dead_url):
            await client.check()


def test_ctrl_c_is_exit_code_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    with double((200, json.dumps({"id": "f"}))) as (app, url):
        command = [sys.executable, "-m", "ragline", "ingest", str(tmp_path), "--server", url]
        process = subprocess.Popen(command, env=child_environment(), stderr=subprocess.PIPE, text=True)
        assert app.followed.wait(60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines() == ["stopped; nothing that was done is lost: run the same command again to continue"]
