"""reStructuredText and Org through the program pandoc, which reads them as web pages."""

from __future__ import annotations

import re
import resource
import subprocess
from collections.abc import Iterator
from subprocess import PIPE

from ragline.connectors.tether import TETHER
from ragline.errors import ParseFailed
from ragline.pipelines.readers.text.encoding import decoded
from ragline.pipelines.readers.web.html import text_elements
from ragline.pipelines.reading import Reading
from ragline.types import Element

CPU_S = 60
MAX_ABOUT_CHARS = 500
MAX_NAMED = 20

_NOT_INCLUDED = re.compile(r"Could not load include file (.{1,200}?)(?: at line \d+.*)?$", re.MULTILINE)
_ORG_KEYWORD = re.compile(r"^[ \t]*#\+(TITLE|SUBTITLE|AUTHOR|DATE|LANGUAGE):[ \t]*(.*?)[ \t]*$", re.MULTILINE | re.I)
_RST_FIELD = re.compile(r"^:(Author|Authors|Date|Auteur|Auteurs):[ \t]+(\S.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_FIELDS = {"author": "author", "authors": "author", "auteur": "author", "auteurs": "author", "date": "date"}
_HEAD_CHARS = 4096
_ORG_OPTIONS = "#+OPTIONS: tags:nil\n"


def rst(reading: Reading) -> Iterator[Element]:
    """Yield a document in reStructuredText; a file that it includes is not read."""
    text = decoded(reading)
    for name, value in _RST_FIELD.findall(text[:_HEAD_CHARS]):
        reading.about.setdefault(_FIELDS[name.lower()], value[:MAX_ABOUT_CHARS])
    yield from _elements(reading, "rst", text)


def org(reading: Reading) -> Iterator[Element]:
    """Yield a document of Emacs' Org mode under its title, if it has one; a file that it includes is not read."""
    text = decoded(reading)
    said: dict[str, str] = {}
    for name, value in _ORG_KEYWORD.findall(text[:_HEAD_CHARS]):
        if value:
            said.setdefault(name.lower(), value)
    reading.about |= {name: value[:MAX_ABOUT_CHARS] for name, value in said.items() if name != "subtitle"}
    titles = [said[name] for name in ("title", "subtitle") if name in said]
    yield from (Element(title, "title", level=level) for level, title in enumerate(titles[:1], start=1))
    yield from (Element(title) for title in titles[1:])
    shift = ["--shift-heading-level-by=1"] if titles else []
    yield from _elements(reading, "org", _ORG_OPTIONS + text, *shift)


def converted(kind: str, data: bytes, *options: str) -> tuple[str, str]:
    """Return the document as HTML, and pandoc's warnings.

    Pandoc may read no file and dies when its time is up, even without its worker. Raises ParseFailed for what needs too
    much of it, ValueError for what it cannot read.
    """
    import pypandoc  # type: ignore[import-untyped]  # has no types

    pandoc = [pypandoc.get_pandoc_path(), "--sandbox", "--wrap=none", f"--from={kind}", "--to=html", *options]
    with subprocess.Popen([*TETHER, *pandoc], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (CPU_S, CPU_S))
        output, errors = process.communicate(data)
    said = errors.decode(errors="replace").strip()
    if process.returncode != 0:
        if process.returncode < 0 or process.returncode in (2, 251):  # killed; out of heap: 2, 251
            raise ParseFailed(f"needs too much time or memory to be read as {kind}; split it")
        raise ValueError(f"pandoc cannot read this {kind} file: {said[:500]}")
    return output.decode(errors="replace"), said


def _elements(reading: Reading, kind: str, text: str, *options: str) -> Iterator[Element]:
    html, warnings = converted(kind, text.encode("utf-8", "replace"), *options)
    for name in list(dict.fromkeys(_NOT_INCLUDED.findall(warnings)))[:MAX_NAMED]:
        reading.note(f"it includes the file {name!r}, which was not read; upload that file, too")
    yield from text_elements(html)
