"""A Python file, or what a package offers, becomes function models."""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import FunctionType, ModuleType

from ragline.connectors.models.function_call import Chat
from ragline.connectors.models.function_home import Home

MAX_ID_CHARS = 200
NO_MODEL = "no model in it: define `async def chat(request)`, or a class with that method"

versions = count(1)
"""Each version of a file is a module of its own: the one before may still be answering."""


class NotLoaded(Exception):
    """What is wrong with a file of functions."""


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function model, loaded. `origin` is its file or package; it runs in `home`, as all of that origin do."""

    id: str
    name: str
    chat: Chat
    origin: str
    home: Home


def load_file(path: Path) -> list[Function]:
    """Run a file and return the models in it, at least one. Raises NotLoaded, and whatever the file raises.

    A file without a `chat`, which may have nothing to do with Ragline, is not run.
    """
    source = path.read_bytes()
    if not any(may_be_model(node) for node in ast.parse(source, path.name).body):
        raise NotLoaded(NO_MODEL)
    module = ModuleType(f"ragline_function_{path.stem}_{next(versions)}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look there for the module of a class
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
        return functions_in(module, path.stem, path.name)
    except BaseException:
        del sys.modules[module.__name__]
        raise


def forget(functions: Sequence[Function]) -> None:
    """Take the modules of a version that is no longer served out of the interpreter's list."""
    for name in {function.chat.__module__ for function in functions}:
        if name.startswith("ragline_function_"):
            sys.modules.pop(name, None)


def may_be_model(node: ast.stmt) -> bool:
    """Tell whether a statement of a file defines a model: a `chat`, a class with one, or one that may inherit it."""
    match node:
        case ast.ClassDef(bases=[_, *_]):
            return True
        case ast.ClassDef(body=body):
            return any(may_be_model(each) for each in body if not isinstance(each, ast.ClassDef))
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name == "chat"
        case ast.Assign(targets=targets):
            return any(isinstance(target, ast.Name) and target.id == "chat" for target in targets)
    return False


def functions_in(target: object, default_id: str, origin: str) -> list[Function]:
    """Return the models that a module, a class, an object or a function is. Raises NotLoaded."""
    home = Home(origin)
    found = [_function(each, default_id, origin, home) for each in _models(target)]
    if not found:
        raise NotLoaded(NO_MODEL)
    ids = [function.id for function in found]
    if twice := next((id for id in ids if ids.count(id) > 1), None):
        raise NotLoaded(f"two models in it are called {twice!r}: give each class an `id` of its own")
    return found


def _models(target: object) -> Iterator[object]:
    if isinstance(target, ModuleType):
        if callable(getattr(target, "chat", None)):
            yield target
        for each in vars(target).values():
            if isinstance(each, type) and each.__module__ == target.__name__ and _is_model(each):
                yield each()
    elif isinstance(target, type):
        yield target()
    else:
        yield target


def _is_model(kind: type) -> bool:
    """Tell whether a class of a module is a model, and no base of others: those are abstract, or begin with _."""
    plain = not kind.__name__.startswith("_") and not inspect.isabstract(kind)
    return plain and callable(getattr(kind, "chat", None)) and not getattr(kind, "_is_protocol", False)


def _function(model: object, default_id: str, origin: str, home: Home) -> Function:
    chat = model if isinstance(model, FunctionType) else getattr(model, "chat", None)
    if not callable(chat):
        raise NotLoaded(NO_MODEL)
    id = getattr(model, "id", default_id)
    name = getattr(model, "name", id)
    for key, value in (("id", id), ("name", name)):
        fits = isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()
        if not fits or value != value.strip():
            raise NotLoaded(f"{key} {value!r}: a text of 1 to {MAX_ID_CHARS} printable characters is needed")
    return Function(id, name, chat, origin, home)


def told(error: BaseException, file: str = "") -> str:
    """Return what went wrong in one line, with the line of the file where it did."""
    if isinstance(error, NotLoaded):
        return str(error)
    line = error.lineno if isinstance(error, SyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        if line is None or Path(frame.filename).name == file:
            line = frame.lineno if Path(frame.filename).name == file else line
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" + (f" (line {line})" if line is not None else "")
