"""The command line without a server: arguments, files that they mean, what is printed, and a server that is busy."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ragline.app import Stores, open_stores
from ragline.bootstrap import first_admin
from ragline.cli import main
from ragline.cli.paths import LEADS_OUT, Document, find
from ragline.cli.progress import showing
from ragline.cli.shown import MAX_ROWS, plain, print_table
from ragline.client import Client, State
from ragline.config.environment import child_environment
from ragline.config.settings import Settings
from ragline.connectors.sources.globs import Globs
from ragline.errors import TooLarge, Unavailable
from ragline.types import FileRecord, Status

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
        pytest.param(["ingest", "a.md", "--collection", " "], "--collection is empty", id="empty-collection"),
        pytest.param(["sync", "docs", "--all"], "NAME and --all exclude each other", id="source-and-all"),
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


def test_forgetting_asks_first(tmp_path: Path) -> None:
    (tmp_path / "ragline.db").touch()
    code, output = invoke("forget", "notes", "--data-dir", tmp_path)
    assert (code, "Delete all files that came from notes" in output, "Aborted" in output) == (1, True, True)


@pytest.mark.parametrize("command", [["audit"], ["forget", "notes", "--yes"]])
def test_a_command_that_makes_nothing_makes_no_installation(command: list[str], tmp_path: Path) -> None:
    code, output = invoke(*command, "--data-dir", tmp_path / "none")
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


def test_a_link_that_leads_out_of_a_folder_is_not_followed_unless_it_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "docs-secret.md").write_text("secret")
    (folder / "sub" / "out.md").symlink_to(tmp_path / "docs-secret.md")
    (folder / "sub" / "within.md").symlink_to(folder / "a.md")
    (tmp_path / "way").symlink_to(folder)
    for named in (folder, tmp_path / "way"):
        problems = {each.inside: each.problem for each in find([named], Globs(["sub/*.md"], []))}
        assert problems == {"sub/c.md": None, "sub/out.md": LEADS_OUT, "sub/within.md": None}
    out = folder / "sub" / "out.md"
    for paths in ([folder, out], [out, folder]):
        [found] = [each for each in find(paths, Globs(["out.md"], [])) if each.path == out]
        assert found.problem is None


@pytest.mark.parametrize("options", [pytest.param([], id="empty"), pytest.param(["--include", "*.pdf"], id="pattern")])
def test_no_files_are_exit_code_1_and_no_installation_is_made(
    folder: Path, tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGLINE_KEY", "sk-1")  # as the README exports it: no --server need be named because of it
    place = folder if options else tmp_path / "empty"
    place.mkdir(exist_ok=True)
    code, output = invoke("ingest", place, *options, "--data-dir", tmp_path / "data")
    assert (code, len(output.splitlines())) == (1, 1)
    assert f"no files found in {str(place)!r}" in output
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        pytest.param("80", "━━━━━━━━━━━━━━━━━━━━ 0/3 0:00:00 manuals/pu…ssure of the pump.pdf (embed 40%) +2", id="80"),
        pytest.param("40", "━━━━━━━━━━━━━━━━━━━━ 0/3 0:00:00 ma….pdf", id="40"),
        pytest.param(
            "120",
            "━━━━━━━━━━━━━━━━━━━━ 0/3 0:00:00 manuals/pumps/how to measure the pressure of the pump.pdf (embed 40%) +2",
            id="120",
        ),
    ],
)
def test_the_bar_stays_beside_one_name_that_is_shortened(
    columns: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": columns}.items():
        monkeypatch.setenv(name, value)
    names = ("a.md", "b.md", "manuals/pumps/how to measure the pressure of the pump.pdf")
    documents = [Document(Path("docs", name), name) for name in names]
    with showing(len(documents)) as show:
        for document in documents:
            show.started(document)
        show.progressed(documents[-1], State(Status.PROCESSING, "embed", 0.4, None))
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert [line.rstrip() for line in said.replace("\r", "\n").splitlines() if line.strip()][-1] == shown


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
    admin, _ = await first_admin(stores.records, stores.settings.auth)
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
    taken_up = "the next `ragline serve` or `ragline ingest` takes it up"
    assert output.splitlines()[0] == f"id-of-two.txt: waits again; {taken_up}"
    assert output.splitlines()[1] == "id-of-one.txt: it is pending: only a failed file can be retried"
    assert await asyncio.to_thread(invoke, "retry", "--all", *at) == (0, "no failed files\n")
    code, output = await asyncio.to_thread(invoke, "cancel", "id-of-two.txt", "id-of-three.txt", *at)
    assert code == 0
    code, output = await asyncio.to_thread(invoke, "cancel", "id-of-two.txt", *at)
    assert (code, output) == (1, "id-of-two.txt: it has failed already: nothing to cancel\n")
    code, output = await asyncio.to_thread(invoke, "retry", "--all", "--exhausted", *at)
    assert (code, output) == (0, "no failed files\n")
    code, output = await asyncio.to_thread(invoke, "retry", "--all", *at)
    assert (code, output) == (0, f"2 files wait again; {taken_up.replace('it', 'them')}\n")
    await asyncio.to_thread(invoke, "cancel", "id-of-three.txt", *at)
    code, output = await asyncio.to_thread(invoke, "retry", "--all", *at)
    assert (code, output) == (0, f"1 file waits again; {taken_up}\n")


class Double:
    """An ASGI server that answers uploads with what it is told, one after the other, and never ends a file.

    Streams last until it is told that it is `gone`.
    """

    def __init__(self, *uploads: tuple[int, str]) -> None:
        self.uploads = list(uploads)
        self.followed = threading.Event()
        self.gone = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        if scope["path"].endswith("/process/status"):
            self.followed.set()
            await answer(send, 200, b'data: {"status":"pending","stage":"queued","progress":0,"error":null}\n\n', True)
            while not self.gone.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        if (await receive())["type"] == "http.disconnect":
                            return
            await send({"type": "http.response.body", "body": b""})
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


def test_a_server_that_goes_away_is_exit_code_1_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragline.client.PATIENCE_S", 0.1)
    (tmp_path / "a.md").write_text("a")
    with ThreadPoolExecutor() as other:
        with double((200, json.dumps({"id": "f"}))) as (app, url):
            ingest = other.submit(invoke, "ingest", tmp_path, "--server", url)
            assert app.followed.wait(60)
            app.gone.set()
        code, output = ingest.result(30)
    assert (code, len(output.splitlines())) == (1, 1)
    assert output.startswith(f"ragline: the server at {url!r} does not answer any more: ")
    assert output.endswith("; nothing that was done is lost: run the same command again to continue\n")
