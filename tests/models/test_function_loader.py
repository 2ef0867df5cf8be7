"""Function models out of files and packages: what is found, what is loaded again, and what a broken file does."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ragline.connectors.models import function_loader
from ragline.connectors.models.extractive import Extractive
from ragline.connectors.models.function_loader import FunctionLoader
from ragline.connectors.models.functions import FunctionsBackend
from ragline.connectors.models.registry import ModelRegistry
from ragline.errors import NotFound
from ragline.functions import Request
from ragline.types import ChatRequest

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "functions.md").read_text()

SAYS = """
async def chat(request):
    yield {text!r}
"""
SEVERAL = """
from dataclasses import dataclass
from typing import Protocol

@dataclass
class Base:
    _abstract = True

class _Greeting:
    word = ""
    def chat(self, request):
        return f"{self.word} {request.question}"

class Bonjour(_Greeting):
    id = "bonjour"
    name = "Bonjour à tous"
    word = "Bonjour"

class Hello(_Greeting):
    id = "hello"
    word = "Hello"

class NotOne:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "functions"
    made.mkdir()
    return made


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[FunctionsBackend]:
    backend = FunctionsBackend("functions", [Extractive()], loader=FunctionLoader(folder, group="ragline.none"))
    try:
        yield backend
    finally:
        await backend.close()


async def ids(backend: FunctionsBackend) -> list[str]:
    return [model.id for model in await backend.models()]


async def say(backend: FunctionsBackend, model: str) -> str:
    answer: Any = await backend.chat(ChatRequest(model, {}))
    return str(answer["choices"][0]["message"]["content"])


def problems(backend: FunctionsBackend) -> dict[str, str]:
    assert backend.loader is not None
    return dict(backend.loader.problems)


async def test_a_file_is_a_model_named_as_the_file(folder: Path) -> None:
    (folder / "météo.py").write_text(SAYS.format(text="il fait beau"))
    async with opened(folder) as backend:
        assert await ids(backend) == ["extractive", "météo"]
        assert await say(backend, "météo") == "il fait beau"
        [model] = [model for model in await backend.models() if model.id == "météo"]
        assert (model.owned_by, model.backend, model.details["name"]) == ("function", "functions", "météo")


async def test_a_file_may_hold_several_models(folder: Path) -> None:
    (folder / "greetings.py").write_text(SEVERAL)
    async with opened(folder) as backend:
        models = await backend.models()
        assert [(model.id, model.details["name"]) for model in models[1:]] == [
            ("bonjour", "Bonjour à tous"),
            ("hello", "hello"),
        ]
        assert await say(backend, "hello") == "Hello "


async def test_without_a_folder_there_are_only_the_built_in_models(tmp_path: Path) -> None:
    async with opened(tmp_path / "none") as backend:
        assert await ids(backend) == ["extractive"]
        assert problems(backend) == {}


async def test_a_folder_that_is_none_is_named_as_a_problem(tmp_path: Path) -> None:
    (tmp_path / "functions").write_text("")
    async with opened(tmp_path / "functions") as backend:
        assert await ids(backend) == ["extractive"]
        assert list(problems(backend).values()) == ["cannot be read: Not a directory"]


async def test_other_files_of_the_folder_are_left_alone(folder: Path) -> None:
    for name in ("_shared.py", ".hidden.py", "notes.txt", "chat.pyc"):
        (folder / name).write_text("raise SystemExit")
    (folder / "package.py").mkdir()
    (folder / "unrelated.py").write_text("import sys\nsys.never = 1\ndef main(): pass\n")
    async with opened(folder) as backend:
        assert await ids(backend) == ["extractive"]
        assert list(problems(backend)) == ["unrelated.py"]
        assert "no model in it: define `async def chat(request)`" in problems(backend)["unrelated.py"]
    assert not hasattr(sys, "never"), "a file without a model is not run"


async def test_a_changed_file_answers_anew_and_a_deleted_one_is_gone(folder: Path) -> None:
    file = folder / "tide.py"
    file.write_text(SAYS.format(text="haute"))
    async with opened(folder) as backend:
        assert await say(backend, "tide") == "haute"
        file.write_text(SAYS.format(text="basse"))  # as long as before, and within the same second
        assert await say(backend, "tide") == "basse"
        file.unlink()
        assert await ids(backend) == ["extractive"]
        with pytest.raises(NotFound, match="no function 'tide'; known: extractive"):
            await say(backend, "tide")


async def test_the_registry_sees_a_new_file_at_once_and_lists_it_within_a_second(folder: Path) -> None:
    async with opened(folder) as backend:
        clock = [0.0]
        registry = ModelRegistry([backend], aliases={}, list_ttl_s=30, list_timeout_s=1, clock=lambda: clock[0])
        assert [model.id for model in await registry.list()] == ["extractive"]
        (folder / "new.py").write_text(SAYS.format(text="neuf"))
        clock[0] = 1.0
        assert [model.id for model in await registry.list()] == ["extractive", "new"]


BROKEN = [
    pytest.param("async def chat(request:\n    yield 1", r"SyntaxError: .*\(line 1\)", id="syntax"),
    pytest.param(
        "import nowhere\ndef chat(request): pass", r"ModuleNotFoundError: .*nowhere.* \(line 1\)", id="import"
    ),
    pytest.param("def chat(request): pass\n\n1 / 0", r"ZeroDivisionError: division by zero \(line 3\)", id="error"),
    pytest.param("import sys\ndef chat(request): pass\nsys.exit(3)", r"SystemExit: 3 \(line 3\)", id="exit"),
    pytest.param(
        "class A:\n def __init__(self, x): pass\n def chat(self, r): pass", "TypeError: .*'x'", id="arguments"
    ),
    pytest.param(
        "class A:\n def chat(self, r): pass\nclass B(A): pass", "two models in it are called 'tide'", id="ids"
    ),
    pytest.param("class A:\n id = 5\n def chat(self, r): pass", "id 5: a text of 1 to 200 printable", id="id"),
    pytest.param("id = 'a\\nb'\ndef chat(r): pass", "id 'a.nb': a text of 1 to 200 printable", id="unprintable"),
    pytest.param("chat = 3", "no model in it", id="no-function"),
    pytest.param("x = '\0'", "ValueError|SyntaxError", id="nul"),
]


@pytest.mark.parametrize(("text", "problem"), BROKEN)
async def test_a_file_that_breaks_keeps_its_last_good_version_and_is_logged_once(
    folder: Path, text: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder / "tide.py"
    file.write_text(SAYS.format(text="haute"))
    (folder / "other.py").write_text(SAYS.format(text="autre"))
    async with opened(folder) as backend:
        assert await say(backend, "tide") == "haute"
        file.write_text(text)
        for _ in range(3):
            assert await ids(backend) == ["extractive", "other", "tide"]
        assert await say(backend, "tide") == "haute"
        assert re.search(problem, problems(backend)["tide.py"])
        assert len([record for record in caplog.records if "tide.py do not load" in record.message]) == 1
        file.write_text(SAYS.format(text="réparée"))
        assert await say(backend, "tide") == "réparée"
        assert problems(backend) == {}


async def test_a_file_that_never_ends_loading_holds_up_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_loader, "WAIT_S", 0.1)
    file = folder / "slow.py"
    file.write_text("import time\ntime.sleep(600)\ndef chat(request): return ''")
    async with opened(folder) as backend:
        assert await ids(backend) == ["extractive"]
        assert re.fullmatch(r"is still loading after \d+ s", problems(backend)["slow.py"])
        began = time.monotonic()
        for _ in range(50):
            await ids(backend)
        assert time.monotonic() - began < 2.5  # twice that where each of them waits
        file.write_text("import time\ntime.sleep(0.3)\ndef chat(request): return 'là'")
        assert await ids(backend) == ["extractive"]
        await asyncio.sleep(0.6)
        assert await say(backend, "slow") == "là"


async def test_an_answer_under_way_ends_in_the_version_that_began_it(folder: Path) -> None:
    file = folder / "tide.py"
    file.write_text("import asyncio\nasync def chat(request):\n yield 'a'\n await asyncio.sleep(0.3)\n yield 'b'\n")
    async with opened(folder) as backend:
        begun = asyncio.ensure_future(say(backend, "tide"))
        await asyncio.sleep(0.1)
        file.write_text(SAYS.format(text="neuf"))
        assert await say(backend, "tide") == "neuf"
        assert await begun == "ab"


async def test_threads_of_older_versions_end(folder: Path) -> None:
    file = folder / "tide.py"
    async with opened(folder) as backend:
        for number in range(12):
            file.write_text(SAYS.format(text=str(number)))
            assert await say(backend, "tide") == str(number)
        for _ in range(100):
            if len(threads := threads_of("tide.py")) == 1:
                break
            await asyncio.sleep(0.02)
        assert len(threads) == 1
        assert len([name for name in sys.modules if name.startswith("ragline_function_tide")]) == 1
    await asyncio.to_thread(threads[0].join, 5)
    assert threads_of("tide.py") == []


def threads_of(file: str) -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == f"function {file}"]


async def test_what_is_kept_in_a_file_is_shared_by_its_chats(folder: Path) -> None:
    text = "import asyncio\nlock = asyncio.Lock()\nn = 0\nasync def chat(request):\n"
    text += " global n\n async with lock:\n  n += 1\n  await asyncio.sleep(0.01)\n yield str(n)\n"
    (folder / "count.py").write_text(text)
    async with opened(folder) as backend:
        assert {await each for each in [say(backend, "count") for _ in range(3)]} == {"1", "2", "3"}
        await asyncio.gather(*(say(backend, "count") for _ in range(5)))
        assert await say(backend, "count") == "9"


async def test_of_two_files_with_one_name_of_a_model_the_first_keeps_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a.py").write_text("id = 'tide'\n" + SAYS.format(text="a"))
    (folder / "b.py").write_text("id = 'tide'\n" + SAYS.format(text="b"))
    async with opened(folder) as backend:
        assert await ids(backend) == ["extractive", "tide"]
        assert await say(backend, "tide") == "a"
        assert problems(backend) == {"b.py": "its model 'tide' is left out: a.py has one of this name"}
        assert caplog.text.count("is left out") == 1


async def test_a_file_takes_the_place_of_a_built_in_model(folder: Path) -> None:
    (folder / "extractive.py").write_text(SAYS.format(text="le mien"))
    async with opened(folder) as backend:
        assert await ids(backend) == ["extractive"]
        assert await say(backend, "extractive") == "le mien"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An installed package that offers a class, a function, an object, a module, and something that is not there."""
    (tmp_path / "marée.py").write_text(
        "class Tide:\n id = 'marée'\n def chat(self, request): return 'classe'\n"
        "def chat(request): return 'fonction'\nmade = Tide()\nmade.id = 'objet'\n"
    )
    info = tmp_path / "maree-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: maree\nVersion: 1.0\n")
    points = {"a": "marée:Tide", "b": "marée:chat", "c": "marée:made", "d": "marée:nothing"}
    (info / "entry_points.txt").write_text(
        "[ragline.functions]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "maree"
    sys.modules.pop("marée", None)


async def test_packages_offer_models_by_entry_points(package: str, folder: Path) -> None:
    backend = FunctionsBackend("functions", loader=FunctionLoader(folder))
    try:
        assert await ids(backend) == ["marée", "b", "objet"]
        assert [await say(backend, id) for id in await ids(backend)] == ["classe", "fonction", "classe"]
        [(name, problem)] = problems(backend).items()
        assert (name, problem.split(":")[0]) == (f"{package} (d)", "AttributeError")
    finally:
        await backend.close()


@pytest.mark.parametrize("example", sorted((ROOT / "examples" / "functions").glob("*.py")), ids=lambda path: path.stem)
async def test_the_examples_load_as_they_are(example: Path, folder: Path) -> None:
    os.symlink(example, folder / example.name)
    async with opened(folder) as backend:
        assert len(await ids(backend)) == 2
        assert problems(backend) == {}


async def test_every_file_in_the_docs_loads(folder: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    assert len(blocks) >= 3
    for number, block in enumerate(blocks):
        (folder / f"doc{number}.py").write_text(block)
    async with opened(folder) as backend:
        await ids(backend)
        assert problems(backend) == {}


def test_entry_points_are_read_from_the_group_in_the_docs() -> None:
    assert f'[project.entry-points."{function_loader.GROUP}"]' in DOCS


def test_what_a_request_has_is_in_the_docs() -> None:
    told = [name for name in Request.__dataclass_fields__ if name not in ("retrieved", "reach", "ways")]
    missing = [name for name in [*told, "search", "complete", "stream", "wait"] if f"`{name}" not in DOCS]
    assert missing == []
