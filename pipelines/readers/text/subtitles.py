"""Subtitles (SubRip and WebVTT): what is said, as paragraphs that begin with the time."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from ragline.pipelines.readers.text.encoding import decoded
from ragline.pipelines.readers.text.plain import lines_of
from ragline.pipelines.reading import Reading
from ragline.types import Element

PARAGRAPH_S = 30
"""A paragraph ends with the first sentence after so many seconds, and surely after twice as many."""
PAUSE_S = 4
"""So long a silence ends a paragraph, too."""
SCROLLED_S = 0.1
_MAX_PARAGRAPH_CHARS = 4_000

_TIME = r"((?:\d{1,6}:)?\d{1,2}:\d{1,2}[,.]?\d{0,3})"
_TIMES = re.compile(rf"\s{{0,20}}{_TIME}[ \t]{{0,20}}-->[ \t]{{0,20}}{_TIME}")
_VOICE = re.compile(r"<v(?:\.[\w.-]{1,100})?[ \t]{1,10}([^<>\n]{1,200})>")
_TAG = re.compile(r"</?(?:[bicu]|ruby|rt|v|lang|font)\b[^<>\n]{0,200}>|<\d[\d:.]{3,20}>|\{\\[^{}\n]{1,100}\}")
_SENTENCE_END = re.compile(r"[.!?…]['\"”’»)\]]{0,3}$")
_LEFT_OUT = ("WEBVTT", "NOTE", "STYLE", "REGION", "X-TIMESTAMP-MAP")


class Cue(NamedTuple):
    """What is said from `start` to `end`, in seconds; `voice` names who says it, "" where nobody is named."""

    start: float
    end: float
    voice: str
    text: str


def subtitles(reading: Reading) -> Iterator[Element]:
    """Yield paragraphs of about half a minute, each with the time at which it begins, such as `[00:01:05] Bonjour.`"""
    paragraph: list[Cue] = []
    for cue in cues(lines_of(decoded(reading))):
        if paragraph and _ends(paragraph, cue):
            yield _element(paragraph)
            paragraph = []
        paragraph.append(cue)
    if paragraph:
        yield _element(paragraph)


def cues(text: str) -> Iterator[Cue]:
    """Yield the cues in their order, without numbers, styles, notes and what repeats the line before."""
    before = ""
    for block in re.split(r"\n[ \t]*\n", text.lstrip("\ufeff")):
        lines = block.strip("\n").split("\n")
        timed = [number for number, line in enumerate(lines) if "-->" in line and _TIMES.match(line)]
        if not timed:
            if not lines[0].startswith(_LEFT_OUT) and not lines[0].strip().isdigit() and (text := _clean(lines)):
                yield Cue(-1, -1, "", text)  # a blank line inside of a cue
            continue
        # Before the first time stands the number or the name of the cue, and before that the rest of the last one.
        if text := _clean(lines[: max(0, timed[0] - 1)]):
            yield Cue(-1, -1, "", text)
        for place, number in enumerate(timed):
            last = timed[place + 1] if place + 1 < len(timed) else len(lines)
            said = lines[number + 1 : last]
            if place + 1 < len(timed) and said and said[-1].strip().isdigit():
                said.pop()  # the number of the next cue, which no blank line parts from this one
            found = _TIMES.match(lines[number])
            start, end = (_seconds(found[1]), _seconds(found[2])) if found else (0.0, 0.0)
            said = [line for line in said if line.strip()]
            # Where lines scroll up, each is shown twice: alone for a moment, and above the next one.
            again = bool(said) and said[0].strip() == before and (len(said) > 1 or end - start < SCROLLED_S)
            before = said[-1].strip() if said else ""
            new = said[1:] if again else said
            if text := _clean(new):
                voice = next((name[1].strip() for line in new if (name := _VOICE.search(line))), "")
                yield Cue(start, end, voice, text)


def _clean(lines: list[str]) -> str:
    return " ".join(html.unescape(_TAG.sub("", _VOICE.sub("", " ".join(lines)))).split())


def _seconds(time: str) -> float:
    seconds = 0.0
    for part in time.replace(",", ".").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def _ends(paragraph: list[Cue], cue: Cue) -> bool:
    if cue.start < 0:
        return False
    first = paragraph[0]
    last = next((one for one in reversed(paragraph) if one.start >= 0), first)
    lasted = cue.start - first.start
    chars = sum(len(one.text) for one in paragraph)
    if cue.voice != last.voice or cue.start - last.end > PAUSE_S or chars > _MAX_PARAGRAPH_CHARS:
        return True
    return lasted > 2 * PARAGRAPH_S or (lasted > PARAGRAPH_S and bool(_SENTENCE_END.search(last.text)))


def _element(paragraph: list[Cue]) -> Element:
    start = int(max(0.0, paragraph[0].start))
    time = f"[{start // 3600:02}:{start // 60 % 60:02}:{start % 60:02}]"
    voice = f"{paragraph[0].voice}: " if paragraph[0].voice else ""
    return Element(f"{time} {voice}{' '.join(cue.text for cue in paragraph)}")
