"""Text in pictures, recognised by the program tesseract."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from subprocess import PIPE

from ragline.config.environment import child_environment
from ragline.connectors.tether import TETHER
from ragline.pipelines.readers.pictures.recognised import elements, read_lines
from ragline.pipelines.reading import Options, Reading
from ragline.types import Element

DPI = 300
MAX_PIXELS = 25_000_000
"""Of a picture that is recognised, 5,000 by 5,000; a larger one is made smaller before."""
_PAGE_TIME_S = 60
_HARDLY = 50.0
"""Tesseract's confidence, in percent, below which a page is said to be hardly recognised."""


class NotRecognised(Exception):
    """Tesseract gave up on one picture, or was stopped; the text says so of it: `took longer than …`."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a picture says, and how sure that is, in percent; no elements: nothing."""

    elements: Sequence[Element]
    confidence: float


@dataclass(frozen=True, slots=True)
class Recogniser:
    """Tesseract at `program`, for `languages` that it has; `turns` if it can tell how a page lies."""

    program: str
    languages: Sequence[str]
    turns: bool

    def recognise(self, picture: bytes, page: int | None) -> Recognised:
        """Return the text of a picture in a format that Leptonica reads. Raises NotRecognised."""
        lines = read_lines(self._run(picture))
        letters = [sum(map(len, line.words)) for line in lines]
        trust = sum(line.confidence * count for line, count in zip(lines, letters, strict=True))
        return Recognised(list(elements(lines, page)), trust / max(sum(letters), 1))

    def _run(self, picture: bytes) -> str:
        how = ["--psm", "1" if self.turns else "3", "--dpi", str(DPI), "-c", "debug_file=/dev/null"]
        command = [*TETHER, self.program, "stdin", "stdout", "-l", "+".join(self.languages), *how, "tsv"]
        one_thread = child_environment({"OMP_THREAD_LIMIT": "1"})
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=one_thread) as process:
            _, hard = resource.getrlimit(resource.RLIMIT_CPU)
            most = _PAGE_TIME_S if hard == resource.RLIM_INFINITY else min(_PAGE_TIME_S, hard)
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (most, most))
            try:
                output, _ = process.communicate(picture, timeout=_PAGE_TIME_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise NotRecognised(f"took longer than {_PAGE_TIME_S} s to be recognised") from None
        if process.returncode != 0:
            raise NotRecognised("could not be recognised: tesseract failed on it")
        return output.decode(errors="replace")


def recogniser(reading: Reading) -> Recogniser | None:
    """Return what recognises text by the options, None where nothing can: see `why_not`. Notes missing languages."""
    found = _tesseract()
    if found is None:
        return None
    program, installed = found
    languages = [language for language in reading.options.languages if language in installed]
    missing = [language for language in reading.options.languages if language not in installed]
    if languages and missing:
        reading.note(f"was recognised without {_named(missing)}: tesseract lacks the data, {_packages(missing)} has it")
    return Recogniser(program, languages, "osd" in installed) if languages else None


def why_not(options: Options) -> str:
    """Return why nothing can be recognised, and the way out."""
    if not options.languages:
        return "the recognition of scanned pages is switched off (parsing.ocr)"
    if _tesseract() is None:
        packages = _packages(options.languages)
        return f"tesseract is not installed; install it with `make ocr`, or Debian's tesseract-ocr and {packages}"
    wanted, packages = _named(options.languages), _packages(options.languages)
    return f"tesseract lacks the data for {wanted}; install {packages}, or change parsing.ocr_languages"


def note_quality(reading: Reading, recognised: Recognised, named: str) -> None:
    """Say where little can be trusted."""
    if recognised.elements and recognised.confidence < _HARDLY:
        reading.note(f"{named} could hardly be recognised; a sharper scan would help")


def _named(languages: Sequence[str]) -> str:
    return " and ".join(repr(language) for language in languages)


def _packages(languages: Sequence[str]) -> str:
    return " and ".join(f"tesseract-ocr-{language.replace('_', '-')}" for language in languages)


def _tesseract() -> tuple[str, frozenset[str]] | None:
    program = shutil.which("tesseract")
    return (program, _languages(program)) if program else None


@cache
def _languages(program: str) -> frozenset[str]:
    command = [program, "--list-langs"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=_PAGE_TIME_S, check=True)
    return frozenset(line.strip() for line in listed.stdout.splitlines()[1:])


def pgm(width: int, height: int, pixels: bytes) -> bytes:
    """Return a picture in shades of grey, a byte each, in the format PGM."""
    return b"P5 %d %d 255\n" % (width, height) + pixels
