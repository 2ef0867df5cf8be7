"""`ragline check`: a line a part, beside a server and without one, and exit code 1 only for what somebody set up."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ragline.app import open_app
from ragline.bootstrap import first_admin
from ragline.cli import main
from ragline.config.load import load_settings
from ragline.config.settings import Models
from tests.http.running import Running

from .serving import served

pytestmark = pytest.mark.usefixtures("empty_machine")

ROOT = Path(__file__).resolve().parents[1]
PARTS = ["settings", "data folder", "records", "blobs", "embedder", "vectors", "parser", "Prefect"]


def check(toml: str = "", *arguments: str, color: bool = False) -> tuple[int, dict[str, tuple[str, str]]]:
    """Return the exit code, and of each part its state and what is said."""
    Path("ragline.toml").write_text(toml, encoding="utf-8")
    done = CliRunner().invoke(main, ["check", *arguments], color=color)
    assert not isinstance(done.exception, Exception), done.output
    parts = {}
    for line in done.output.splitlines():
        part, state, said = re.fullmatch(r"(.+?) +(ok|note|FAILS) +(.+)", line).groups()  # type: ignore[union-attr]
        parts[part] = (state, said)
    return done.exit_code, parts


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on; Prefect's own may be taken by another test."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_a_fresh_machine_is_well_and_stays_as_it_is(free_port: int) -> None:
    code, parts = check(f"prefect.port = {free_port}")
    assert code == 0, parts
    assert list(parts)[:8] == PARTS
    assert [parts[part][0] for part in PARTS] == ["ok", "note", "note", "note", "note", "note", "ok", "ok"]
    assert parts["models: ollama"][0] in ("note", "ok"), "the default Ollama need not be there"
    assert "ragline pull" in parts["models: embedded"][1]
    assert parts["functions"] == ("ok", "none; no folder 'functions'")
    assert sorted(each.name for each in Path().iterdir()) == ["ragline.toml"]


def test_wrong_settings_are_named_and_nothing_else_is_looked_at() -> None:
    code, parts = check("[server]\nprot = 1\nport = 'x'")
    assert (code, list(parts)) == (1, ["settings"])
    assert parts["settings"][0] == "FAILS"


CONNECTIONS = """
[[models.connections]]
name = "boîte"
kind = "ollama"
url = "{dead}"
[[models.connections]]
name = "open"
kind = "openai"
url = "{url}/v1"
[[models.connections]]
name = "mine"
kind = "functions"
"""


def test_each_connection_tells_its_models_or_why_not(dead_url: str, free_port: int) -> None:
    from tests.models.loopback import Loopback

    with served(Loopback()) as url:
        code, parts = check(f"prefect.port = {free_port}\n" + CONNECTIONS.format(dead=dead_url, url=url))
    assert code == 1, "it was set up, so it has to work"
    assert parts["models: boîte"][0] == "FAILS"
    assert "boîte: not reachable" in parts["models: boîte"][1]
    assert parts["models: open"] == ("ok", "1 model")


def test_a_file_of_functions_that_does_not_load_is_a_failure(free_port: int) -> None:
    Path("functions").mkdir()
    Path("functions/bonne.py").write_text("def chat(request): return 'été'")
    Path("functions/mauvaise.py").write_text("def chat(request):\n    return 1 /\n")
    code, parts = check(f"prefect.port = {free_port}")
    assert code == 1
    assert parts["functions"] == ("ok", "bonne; from 'functions' and packages")
    state, said = parts["functions: mauvaise.py"]
    assert (state, "SyntaxError" in said, "(line 2)" in said) == ("FAILS", True, True)


def test_a_folder_of_functions_that_was_named_has_to_be_there(free_port: int) -> None:
    code, parts = check(f"prefect.port = {free_port}\nmodels.functions_dir = 'outils'")
    assert (code, parts["functions"]) == (1, ("FAILS", "none; no folder 'outils'"))


def test_prefects_own_server_has_to_answer_and_its_port_to_be_free(dead_url: str) -> None:
    code, parts = check(f"prefect.api_url = '{dead_url}/api'")
    assert (code, parts["Prefect"]) == (1, ("FAILS", f"does not answer at {dead_url}/api (it may still be starting)"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, parts = check(f"prefect.port = {port}")
    assert (code, parts["Prefect"]) == (1, ("FAILS", f"its port {port} is taken: choose another (prefect.port)"))
    assert check("prefect.enabled = false")[1]["Prefect"] == ("ok", "off (prefect.enabled)")


def test_the_settings_of_sources_are_looked_at(free_port: int) -> None:
    sources = """
    [[sources]]
    name = "bon"
    kind = "folder"
    location = "."
    collection = "Dossier"
    [[sources]]
    name = "mauvais"
    kind = "ftp"
    location = "x"
    collection = "Dossier"
    """
    code, parts = check(f"prefect.port = {free_port}\n{sources}")
    assert (code, parts["source: bon"]) == (1, ("ok", "folder"))
    assert (parts["source: mauvais"][0], "kind 'ftp' is not known" in parts["source: mauvais"][1]) == ("FAILS", True)


class Refusing:
    """A Qdrant that knows its collections only with the right key."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        allowed = (b"api-key", b"sesame") in scope["headers"] and scope["path"] == "/collections"
        body = b'{"result": {"collections": [{"name": "a"}]}}' if allowed else b'{"status": "no"}'
        await send({"type": "http.response.start", "status": 200 if allowed else 403, "headers": []})
        await send({"type": "http.response.body", "body": body})


def test_a_qdrant_server_has_to_answer_and_to_know_the_key(dead_url: str, free_port: int) -> None:
    code, parts = check(f"prefect.port = {free_port}\nvectors.url = '{dead_url}'")
    assert (code, parts["vectors"][0], "no Qdrant answers" in parts["vectors"][1]) == (1, "FAILS", True)
    with served(Refusing()) as url:
        settings = f"prefect.port = {free_port}\nvectors.url = '{url}'\nvectors.api_key = "
        assert "Qdrant answers 403" in check(settings + "'wrong'")[1]["vectors"][1]
        code, parts = check(settings + "'sesame'")
    assert (code, parts["vectors"]) == (0, ("ok", "Qdrant answers, collections: 1"))


def test_a_database_that_is_away_is_named_without_its_password(dead_url: str, free_port: int) -> None:
    place = dead_url.removeprefix("http://")
    code, parts = check(f"prefect.port = {free_port}\ndatabase.url = 'postgresql://ada:secret@{place}/ragline'")
    state, said = parts["records"]
    assert (code, state, "secret" in said, place in said) == (1, "FAILS", False, True)


@pytest.fixture
def installed(tmp_path: Path, models_folder: Path, free_port: int) -> str:
    """The settings of an installation that was opened once."""
    (tmp_path / "ma-base").mkdir()
    (tmp_path / "ma-base" / "models").symlink_to(models_folder)
    toml = f"data_dir = 'ma-base'\nprefect.port = {free_port}\n"
    Path("ragline.toml").write_text(toml, encoding="utf-8")

    async def open_once() -> None:
        async with open_app(load_settings()) as app:
            await first_admin(app.records, app.settings.auth)

    asyncio.run(open_once())
    return toml


def test_an_installation_is_opened_and_read(installed: str) -> None:
    code, parts = check(installed)
    assert code == 0, parts
    assert {part: parts[part][0] for part in PARTS} == dict.fromkeys(PARTS, "ok")
    assert parts["vectors"][1] == "in this process, can be opened"
    assert re.fullmatch(r"multilingual-e5-small/.*, 384 dimensions, \d+ ms a question", parts["embedder"][1])
    assert parts["records"][1] == "sqlite answers"
    assert list(Path("ma-base/blobs/files").iterdir()) == [], "what was written to try is gone"


def test_vectors_that_another_process_holds_are_a_failure(installed: str) -> None:
    async def beside() -> tuple[int, dict[str, tuple[str, str]]]:
        async with open_app(load_settings()):
            return await asyncio.to_thread(check, installed)

    code, parts = asyncio.run(beside())
    assert (code, parts["vectors"][0]) == (1, "FAILS")
    assert "in use by another Ragline process" in parts["vectors"][1]


def test_beside_a_running_server_it_is_asked(server: Running) -> None:
    code, parts = check("", "--data-dir", str(server.data_dir))
    assert parts["vectors"] == ("ok", "in use by the running server, which is ready")
    assert parts["data folder"][1].endswith(f"in use by the running server at {server.url}")
    assert (parts["Prefect"][0] in ("ok", "note"), "/api" in parts["Prefect"][1]) == (True, True), "it may be starting"
    assert code == 0, parts
    with server.client() as client:
        assert client.get("/ready").json()["status"] is True


def test_the_settings_in_the_docs_are_settings() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "connections.md").read_text(), re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        Path("ragline.toml").write_text(block, encoding="utf-8")
        assert load_settings().models != Models()


def test_colours_are_for_terminals(free_port: int) -> None:
    Path("ragline.toml").write_text(f"prefect.port = {free_port}")
    plain = CliRunner().invoke(main, ["check"]).output
    coloured = CliRunner().invoke(main, ["check"], color=True).output
    assert ("\x1b[" in plain, "\x1b[32mok" in coloured) == (False, True)


def test_a_reranker_has_to_read(dead_url: str, free_port: int) -> None:
    from tests.rerankers.loopback import Loopback

    assert check(f"prefect.port = {free_port}")[1]["reranker"] == ("ok", "none (reranker.kind)")
    with served(Loopback()) as url:
        settings = f"prefect.port = {free_port}\nreranker.kind = 'http'\nreranker.model = 'words'\nreranker.url = "
        code, parts = check(f"{settings}'{url}'")
        assert (code, parts["reranker"][0]) == (0, "ok")
        assert re.fullmatch(r"words reads, \d+ ms for two short passages", parts["reranker"][1])
        code, parts = check(f"{settings}'{dead_url}'")
    assert (code, parts["reranker"][0], "cannot be reached" in parts["reranker"][1]) == (1, "FAILS", True)
