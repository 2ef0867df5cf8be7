"""Reads the sources of settings: arguments, environment variables, a TOML file. Nothing in them is passed over."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragline.config import names

ENVIRONMENT = "environment"
ARGUMENT = "argument"

_KUBERNETES_LINK = re.compile(r"RAGLINE_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)")


@dataclass(frozen=True, slots=True)
class Given:
    """A value that a source gives one setting: under which name, and in which file or other source."""

    value: object
    written: str
    source: str

    @property
    def origin(self) -> str:
        """The place to change the value: the variable's name, the file's, or `argument`."""
        return self.written if self.source == ENVIRONMENT else self.source


@dataclass(slots=True)
class Layer:
    """What one source says: values by dotted name, and a line for each thing wrong with it."""

    source: str
    given: dict[str, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, name: str, value: object, *, written: str) -> None:
        """Take a value for a setting that exists. An empty text means none, where there can be none."""
        if name in self.given:
            self.problem(written, f"given twice, also as {self.given[name].written}")
        elif value == "" and not names.is_optional(names.fields()[name]):
            self.problem(written, "is empty; give a value or take it out")
        else:
            self.given[name] = Given(None if value == "" else value, written, self.source)

    def problem(self, written: str, what: str) -> None:
        self.problems.append(f"{written} ({self.source}): {what}")


def from_arguments(arguments: Mapping[str, object]) -> Layer:
    """Read dotted names or nested mappings; None stands for an option that was not given."""
    layer = Layer(ARGUMENT)
    _read_table(layer, arguments)
    return layer


def from_toml(path: Path) -> Layer:
    layer = Layer(str(path))
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        layer.problems.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        layer.problems.append(f"{path}: not UTF-8 text at byte {error.start}")
    except tomllib.TOMLDecodeError as error:
        layer.problems.append(f"{path}: not valid TOML: {error}")
    else:
        _read_table(layer, table)
    return layer


def from_environment(environ: Mapping[str, str]) -> Layer:
    """Read all variables that start with RAGLINE_ in any case, and ENV for `env` where RAGLINE_ENV is not set."""
    layer = Layer(ENVIRONMENT)
    for written in sorted(environ):
        upper = written.upper()
        ours = upper.startswith(names.PREFIX) and not upper.startswith(names.TEST_PREFIX)
        if ours and upper not in names.OTHER_VARIABLES:
            _read_variable(layer, written, environ[written])
    if "env" not in layer.given and environ.get("ENV"):
        layer.add("env", environ["ENV"], written="ENV")
    return layer


def _read_table(layer: Layer, table: Mapping[str, object], prefix: str = "") -> None:
    for key, value in table.items():
        name = prefix + key
        if name in names.fields():
            if value is not None:
                layer.add(name, value, written=name)
        elif name not in names.sections():
            known = names.sections() if isinstance(value, Mapping) else names.fields()
            layer.problem(name, _unknown(name, names.nearest(name, known)))
        elif isinstance(value, Mapping):
            _read_table(layer, value, prefix=f"{name}.")
        else:
            layer.problem(name, f"is a section; its keys: {', '.join(names.sections()[name].model_fields)}")


def _read_variable(layer: Layer, written: str, text: str) -> None:
    name = names.dotted(written)
    setting = names.fields().get(name)
    if setting is None:
        layer.problem(written, _what_is_wrong_with_the_name(written, name))
    elif not names.is_structured(setting) or not text:
        layer.add(name, text, written=written)
    else:
        try:
            layer.add(name, json.loads(text), written=written)
        except json.JSONDecodeError as error:
            layer.problem(written, f"not valid JSON: {error}")


def _what_is_wrong_with_the_name(written: str, name: str) -> str:
    if section := names.sections().get(name):
        keys = [names.variable(f"{name}.{key}") for key in section.model_fields]
        return f"is a section; its variables: {', '.join(keys)}"
    for parent, setting in names.fields().items():
        if name.startswith(f"{parent}.") and names.is_structured(setting):
            return f"no such setting; {parent} is given as a whole: {names.variable(parent)} in JSON"
    what = _unknown(name, [names.variable(other) for other in names.nearest(name, names.fields())])
    if _KUBERNETES_LINK.fullmatch(written):
        what += " (Kubernetes sets it for a service called ragline: set enableServiceLinks: false in the pod)"
    return what


def _unknown(name: str, candidates: Iterable[str]) -> str:
    """Name what may be meant, else what there is: the keys of the section, or all sections."""
    if meant := " or ".join(candidates):
        return f"no such setting; did you mean {meant}?"
    section = names.sections().get(name.partition(".")[0])
    if section is not None:
        return f"no such setting; the keys of this section: {', '.join(section.model_fields)}"
    top = [name for name in names.fields() if "." not in name]
    return f"no such setting; there are {', '.join(top)} and the sections {', '.join(names.sections())}"
