"""The house rules that a machine can check: who imports whom, and which library lives where."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("config", "connectors", "pipelines", "retrieval", "flows")

CORE = frozenset({"types", "errors", "language", "functions", "matches"})
BELOW_APP = CORE | {"config", "connectors"}
BELOW_EDGES = BELOW_APP | {"bootstrap", "app", "pipelines", "retrieval"}
ASKING = frozenset({"loops", "place", "answers", "chatting"})

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "__init__": CORE | ASKING | {"session", "remote", "retriever"},
    "types": frozenset(),
    "errors": frozenset(),
    "language": frozenset(),
    "functions": frozenset({"types", "errors"}),
    "matches": frozenset({"types"}),
    "background": frozenset(),
    "config": CORE,
    "connectors": CORE | {"config"},
    "bootstrap": BELOW_APP,
    "app": BELOW_APP | {"bootstrap"},
    "pipelines": BELOW_APP | {"bootstrap", "app"},
    "retrieval": BELOW_APP | {"app", "pipelines"},
    "flows": BELOW_EDGES | {"background", "running"},
    "api": BELOW_EDGES | {"flows"},
    "running": frozenset(),
    "serve": BELOW_EDGES | {"background", "flows", "api", "running"},
    "loops": CORE,
    "place": CORE,
    "answers": CORE,
    "chatting": CORE | {"loops", "place", "answers"},
    "here": BELOW_EDGES | {"place"},
    "session": BELOW_EDGES | ASKING | {"flows", "here"},
    "client": CORE,
    "remote": CORE | ASKING | {"client"},
    "retriever": CORE | ASKING | {"session", "remote"},
    "llama_index": frozenset({"pipelines", "retrieval"}),
    "langchain": CORE | {"retriever"},
    "alone": BELOW_EDGES | {"flows", "api"},
    "local": BELOW_EDGES | {"api", "running", "alone"},
    "cli": BELOW_EDGES | {"flows", "api", "serve", "session", "running", "client", "local", "alone"},
    "__main__": frozenset({"cli"}),
}
"""Of each part of Ragline, the others it may import. A new part needs a line here."""

LIVES_IN: Mapping[str, tuple[str, ...]] = {
    "prefect": ("flows/*",),
    "fastapi": ("ragline/api/*",),
    "starlette": ("ragline/api/*",),
    "uvicorn": ("ragline/api/*", "ragline/serve.py", "ragline/alone.py", "ragline/cli.py", "ragline/cli/*"),
    "qdrant_client": ("connectors/vectors/*",),
    "qdrant_edge": ("connectors/vectors/*",),
    "ollama": ("connectors/*",),
    "unstructured": ("pipelines/readers/libraries/*",),
    "llama_index": ("pipelines/*", "retrieval/*"),
    "langchain_core": ("ragline/langchain.py",),
}
"""The only files that may import a library: path patterns, where `*` also takes slashes."""

HEAVY = (
    "fastapi",
    "fsspec",
    "langchain_core",
    "llama_index",
    "numpy",
    "ollama",
    "onnx",
    "onnxruntime",
    "openvino",
    "pandas",
    "prefect",
    "qdrant_client",
    "qdrant_edge",
    "sqlalchemy",
    "tokenizers",
    "unstructured",
    "uvicorn",
    "xllamacpp",
)
"""Libraries that a command like `ragline --help` must not wait for."""

EMPTY_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "base", "misc"})
"""File names that say nothing about what is inside."""

_ENTRY_POINT = re.compile(r"ragline(\.\w+)+(:\w+)?")
_ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"})


@cache
def product_files() -> tuple[Path, ...]:
    """All Python files of the product by their real path, relative to the repository."""
    folders = [ROOT / "ragline", *(ROOT / room for room in ROOMS)]
    files = {file.resolve() for folder in folders for file in folder.rglob("*.py")}
    return tuple(sorted(file.relative_to(ROOT) for file in files))


def tree_of(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), filename=str(file))


def module_of(file: Path) -> str:
    """`connectors/blobs.py` is `ragline.connectors.blobs`; a package is its folder's name."""
    parts = file.with_suffix("").parts
    parts = parts if parts[0] == "ragline" else ("ragline", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def part_of(module: str) -> str | None:
    """`ragline.connectors.blobs` belongs to `connectors`; `ragline` and other packages to no part."""
    names = module.split(".")
    return names[1] if names[0] == "ragline" and len(names) > 1 else None


def imports_of(file: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Each import as (line, full name), those inside functions and those written as a text `module:name` included."""
    package = module_of(file).split(".")
    package = package if file.name == "__init__.py" else package[:-1]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                yield from ((node.lineno, alias.name) for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                start = [*package[: len(package) - level + 1]] if level else []
                source = ".".join([*start, *([module] if module else [])])
                yield from ((node.lineno, f"{source}.{alias.name}") for alias in aliases)
            case ast.Constant(value=str(text)) if _ENTRY_POINT.fullmatch(text):
                yield node.lineno, text.replace(":", ".")


def violations(file: Path, tree: ast.Module) -> Iterator[str]:
    """What a file does against the two tables and the rules on the environment and on printing."""
    part = part_of(module_of(file))
    for line, name in imports_of(file, tree):
        target = part_of(name)
        if part is not None and target in MAY_IMPORT and target != part and target not in MAY_IMPORT.get(part, ()):
            yield f"{file}:{line}: {part} must not import {target} ({name})"
        library = name.partition(".")[0]
        if library in ROOMS:
            yield f"{file}:{line}: import ragline.{library}, not {library}"
        if library in LIVES_IN and not any(fnmatch(file.as_posix(), place) for place in LIVES_IN[library]):
            yield f"{file}:{line}: {library} belongs in {' or '.join(LIVES_IN[library])}"
    if part != "config":
        yield from (f"{file}:{line}: the environment is read in config/ only" for line in environment_uses(tree))
    if part != "cli":
        yield from (f"{file}:{line}: print belongs in the cli; elsewhere log" for line in prints(tree))


def environment_uses(tree: ast.Module) -> Iterator[int]:
    modules = {"os"} | {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "os" and alias.asname
    }
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="os", names=names) if _ENVIRONMENT & {alias.name for alias in names}:
                yield node.lineno
            case ast.Attribute(value=ast.Name(id=module), attr=attribute):
                if module in modules and attribute in _ENVIRONMENT:
                    yield node.lineno


def prints(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno


def test_every_part_has_its_place_in_the_table() -> None:
    parts = {part_of(module_of(file)) for file in product_files()}
    assert parts <= MAY_IMPORT.keys(), "say in MAY_IMPORT what the new part may import"
    assert set(ROOMS) <= parts


def test_the_rules_of_the_house_are_kept() -> None:
    broken = [line for file in product_files() for line in violations(file, tree_of(file))]
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("file", "code", "complaint"),
    [
        pytest.param("connectors/a.py", "from ragline.app import App", "connectors must not import app", id="upwards"),
        pytest.param("connectors/a.py", "from ragline import app", "connectors must not import app", id="from-the-top"),
        pytest.param("pipelines/a.py", "import ragline.retrieval.x", "must not import retrieval", id="sideways"),
        pytest.param("connectors/v/a.py", "from ... import app", "connectors must not import app", id="relative"),
        pytest.param("config/a.py", "def f():\n  import ragline.flows", "must not import flows", id="in-a-function"),
        pytest.param("config/a.py", "X = 'ragline.api.app:make'", "must not import api", id="by-name"),
        pytest.param("flows/a.py", "from ragline.cli import main", "flows must not import cli", id="cli"),
        pytest.param("ragline/types.py", "import ragline.errors", "types must not import errors", id="lowest"),
        pytest.param("ragline/app.py", "import connectors.blobs", "import ragline.connectors", id="bare-name"),
        pytest.param("pipelines/a.py", "from prefect import flow", "prefect belongs in flows/*", id="prefect"),
        pytest.param(
            "pipelines/chunk.py", "import unstructured.x", "belongs in pipelines/readers/libraries/*", id="unstructured"
        ),
        pytest.param("connectors/models/a.py", "import qdrant_edge", "belongs in connectors/vectors/*", id="qdrant"),
        pytest.param("ragline/app.py", "import os\nos.environ['A']", "environment", id="environ"),
        pytest.param("ragline/app.py", "import os as o\no.getenv('A')", "environment", id="getenv"),
        pytest.param("ragline/app.py", "from os import environ", "environment", id="environ-imported"),
        pytest.param("flows/a.py", "print(1)", "print belongs in the cli", id="print"),
    ],
)
def test_a_broken_rule_is_seen(file: str, code: str, complaint: str) -> None:
    (said,) = violations(Path(file), ast.parse(code))
    assert complaint in said


@pytest.mark.parametrize(
    ("file", "code"),
    [
        pytest.param("flows/a.py", "from prefect import flow\nfrom ragline.pipelines import ingest", id="flows"),
        pytest.param("pipelines/readers/libraries/office.py", "import unstructured", id="a-folder-of-readers"),
        pytest.param("connectors/vectors/a.py", "import qdrant_edge\nfrom . import protocol", id="own-room"),
        pytest.param("ragline/cli.py", "import ragline.api, uvicorn\nprint(1)", id="cli"),
        pytest.param("config/a.py", "import os\nos.environ", id="config"),
        pytest.param("ragline/app.py", "import os\nos.cpu_count()", id="os"),
    ],
)
def test_what_is_allowed_passes(file: str, code: str) -> None:
    assert list(violations(Path(file), ast.parse(code))) == []


def test_file_names_say_what_is_inside() -> None:
    assert [file for file in product_files() if file.stem in EMPTY_NAMES] == []


@pytest.mark.parametrize("module", ["ragline", "ragline.types", "ragline.config.load", "ragline.cli"])
def test_importing_it_loads_no_heavy_library(module: str) -> None:
    code = f"import {module}, json, sys; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) & set(HEAVY) == set()
