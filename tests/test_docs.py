"""README and docs are true: their blocks run, and every command and endpoint is in them."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ragline.cli import main
from tests.http.running import Running

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()

REPORT = """# Pompe Zéphyr / Zephyr pump

The warranty of the pump is 27 months.

La durée de garantie de la pompe est de 27 mois.
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def report_folder(tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my-data").mkdir()
    (tmp_path / "my-data" / "models").symlink_to(models_folder)
    (tmp_path / "report.md").write_text(REPORT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_script_in_the_readme_prints_an_answer_and_its_source(report_folder: Path) -> None:
    [script] = [block for block in blocks("python") if "with ragline.open_ragline" in block and "async" not in block]
    assert len(script.strip().splitlines()) <= 10
    (report_folder / "script.py").write_text(script)  # as a file without a main guard, which workers must not run again
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "27 months" in done.stdout
    assert "1 report.md Pompe Zéphyr / Zephyr pump" in done.stdout


def test_the_coroutine_in_the_readme_answers_in_french(report_folder: Path) -> None:
    names: dict[str, object] = {}
    [coroutine] = [block for block in blocks("python") if "async with" in block]
    exec(compile(coroutine, "README.md", "exec"), names)
    assert "27 mois" in asyncio.run(names["warranty"]())  # type: ignore[operator]  # defined by the block


def test_the_function_in_the_readme_quotes_its_passages() -> None:
    from ragline.functions import Excerpt, Request

    [function] = [block for block in blocks("python") if "async def chat" in block]
    names: dict[str, Any] = {}
    exec(compile(function, "README.md", "exec"), names)
    passage = Excerpt("27 mois.", 1, "pompe.md", "id", None, "", "fr", 0.9)

    async def said() -> str:
        return "".join([piece async for piece in names["chat"](Request(question="?", context=[passage]))])

    assert asyncio.run(said()) == "> 27 mois.\n\n— pompe.md [1]\n\n"


def test_the_curl_lines_of_the_readme_answer_with_sources(server: Running) -> None:
    [script] = [block for block in blocks("sh") if "curl" in block]
    environment = {**os.environ, "RAGLINE_URL": server.url, "RAGLINE_KEY": server.key}
    done = subprocess.run(
        ["bash", "-euc", script], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert '"sources"' in done.stdout
    assert '"LICENSE"' in done.stdout


def test_the_curl_lines_on_users_add_one_and_make_a_key(server: Running) -> None:
    page = (ROOT / "docs" / "users.md").read_text()
    script = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    environment = {**os.environ, "RAGLINE_URL": server.url, "RAGLINE_KEY": server.key}
    done = subprocess.run(["bash", "-euc", script], env=environment, capture_output=True, text=True, check=True)
    assert all(each in done.stdout for each in ('"zoe@example.org"', '"api_key":"sk-', '"name":"site web"', '"total":'))


def test_the_make_targets_of_the_readme_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)$", README, re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_the_settings_in_the_readme_are_settings(tmp_path: Path) -> None:
    from ragline.config.load import load_settings
    from ragline.connectors.sources.registry import check_source

    given: dict[str, object] = {}
    for text in blocks("toml"):
        given |= tomllib.loads(text)
        (tmp_path / "ragline.toml").write_text(text)
        settings = load_settings(toml=tmp_path / "ragline.toml")
        assert [problem for source in settings.sources for problem in check_source(source)] == []
    assert {"sources", "vectors", "prefect"} <= set(given)


def test_every_command_has_a_heading() -> None:
    headings = re.findall(r"^## ragline (\w+)$", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(main.commands)


def test_every_endpoint_is_in_the_docs() -> None:
    from fastapi.routing import APIRoute

    from ragline.api.server import ROOMS

    documented = (ROOT / "docs" / "api.md").read_text()
    for room in ROOMS[:-1]:
        for route in room.router.routes:
            assert isinstance(route, APIRoute)
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
            assert f"{path}`" in documented or f"{path}/`" in documented, path


def test_links_in_readme_and_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
