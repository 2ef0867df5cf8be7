"""Documents in Rich Text Format: titles, lists with their numbers, tables, notes and boxes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import replace

from ragline.errors import ParseFailed
from ragline.pipelines.readers.office.heads import Heads
from ragline.pipelines.readers.office.left_out import note_comments, note_embedded
from ragline.pipelines.readers.office.rtf_flow import Flow, State, whole_text
from ragline.pipelines.readers.office.rtf_tokens import CHARACTERS, CODEPAGES, Token, tokens
from ragline.pipelines.readers.tables.grid import flattened, one_line
from ragline.pipelines.reading import Reading
from ragline.types import Element

MAX_DEPTH = 2_000
MAX_ABOUT_CHARS = 500
MAX_MARK_CHARS = 200
_ABOUT = frozenset({"title", "author", "subject"})
_HEADERS, _FOOTERS = ({kind + end for end in ("", "l", "r", "f")} for kind in ("header", "footer"))
_ASIDE = frozenset({"footnote", "shptxt", "dptxbxtext", *_HEADERS, *_FOOTERS})
"""What is written in the middle of a paragraph and stands elsewhere."""
_KEPT = frozenset(
    {"pntext", "ud", "shpinst", "do", "shptxt", "dptxbxtext", "moMath", "moMathPara", "shpgrp", "footnote"}
)
"""Groups that may be ignored, but hold text."""
_LEFT_OUT = frozenset(
    {
        *(
            "colortbl",
            "listtable",
            "listoverridetable",
            "rsidtbl",
            "generator",
            "pict",
            "nonshppict",
            "fldinst",
            "objdata",
        ),
        *(
            "shprslt",
            "sp",
            "filetbl",
            "revtbl",
            "xe",
            "tc",
            "rxe",
            "private",
            "bkmkstart",
            "bkmkend",
            "atnid",
            "atnauthor",
        ),
        *("annotation", "nonesttables", "nestcellprops", "template", "operator", "company", "comment", "doccomm"),
        *("keywords", "category", "manager", "hlinkbase", "creatim", "printim", "buptim", "revtim", "themedata"),
        *("datastore", "mmathPict"),
    }
)


def rtf(reading: Reading) -> Iterator[Element]:
    """Yield a document in Rich Text Format; it does not tell its pages."""
    data = reading.path.read_bytes()
    if not data.lstrip(b"\xef\xbb\xbf\r\n\t ").startswith(b"{\\rtf"):
        raise ValueError("not in Rich Text Format")
    document = _Document()
    yield from document.elements(data)
    reading.about.update({key: said for key, text in document.about.items() if (said := one_line(whole_text([text])))})
    note_comments(reading, document.comments)
    note_embedded(reading, document.embedded)


class _Document:
    def __init__(self) -> None:
        self.about: dict[str, str] = {}
        self.comments = 0
        self.embedded = 0
        self._state = State()
        self._states: list[State] = []
        self._flows = [Flow()]
        self._ends: list[int] = []  # how deep the groups are whose text stands elsewhere
        self._bytes = bytearray()
        self._passed = 0
        self._default = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._styles: dict[int, tuple[str, int | None]] = {}
        self._named = ""
        self._notes = {"footnote": 0, "endnote": 0}
        self._star = False
        self._heads = {"header": Heads(), "footer": Heads()}
        self._footers: list[Element] = []

    def elements(self, data: bytes) -> Iterator[Element]:
        for token in tokens(data):
            if token.kind != "byte":
                self._decode()
            self._take(token)
            if len(self._flows) == 1 and self._flows[0].found:
                yield from self._flows[0].found
                self._flows[0].found = []
        self._decode()
        while len(self._flows) > 1:
            self._end_aside()
        self._flows[-1].end_paragraph(self._state, self._styles)
        self._flows[0].end_table()
        yield from self._flows[0].found
        yield from self._footers

    def _take(self, token: Token) -> None:
        star, self._star = self._star, False
        match token.kind:
            case "{":
                self._passed = 0
                self._states.append(replace(self._state))
                if len(self._states) > MAX_DEPTH:
                    raise ParseFailed("is nested too deeply to be read")
            case "}":
                self._passed = 0
                self._close()
            case "word":
                self._word(token.word, token.number, star=star)
            case "star":
                self._star = True
            case "byte":
                if not self._pass(1):
                    self._bytes += token.data
            case "text":
                skipped = self._pass(len(token.data))
                self._add(token.data[skipped:].decode(self._state.encoding, "replace"))
            case "sign" if token.word == "\r":
                self._flows[-1].end_paragraph(self._state, self._styles)
            case "sign" if not self._pass(1):
                self._add(token.word)

    def _pass(self, count: int) -> int:
        """Return how many of these characters only stand in for one that was given in Unicode."""
        skipped = min(self._passed, count)
        self._passed -= skipped
        return skipped

    def _decode(self) -> None:
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            self._add(data.decode(self._state.encoding, "replace"))

    def _add(self, text: str) -> None:
        state = self._state
        if state.into == "text":
            if state.shown:
                self._flows[-1].parts.append(text)
        elif state.into == "mark":
            self._flows[-1].mark = (self._flows[-1].mark + text)[:MAX_MARK_CHARS]
        elif state.into == "stylesheet":
            self._named = (self._named + text)[:MAX_MARK_CHARS]
        elif state.into in _ABOUT:
            self.about[state.into] = (self.about.get(state.into, "") + text)[:MAX_ABOUT_CHARS]

    def _close(self) -> None:
        if self._state.into == "stylesheet" and self._named:
            outline = self._state.outline
            self._styles[self._state.style] = (self._named.strip(" ;"), outline)
            self._named = ""
        if self._ends and self._ends[-1] == len(self._states):
            self._end_aside()
        if self._states:
            self._state = self._states.pop()

    def _word(self, word: str, number: int | None, *, star: bool) -> None:
        if word == "u" and number is not None:
            self._add(chr(number & 0xFFFF))
            self._passed = self._state.skip
        elif self._passed and word in CHARACTERS:
            self._passed -= 1
        elif word in _LEFT_OUT or (star and word not in _KEPT):
            self.comments += word == "annotation"
            self.embedded += word == "objdata"
            self._state.into = ""
        elif self._state.into == "":
            return
        elif word in _ASIDE:
            self._flows.append(Flow(kind=word))
            self._ends.append(len(self._states))
            self._state = replace(State(), encoding=self._state.encoding)
        elif word in CHARACTERS:
            self._add(CHARACTERS[word])
        elif not self._structure(word):
            self._property(word, number)

    def _structure(self, word: str) -> bool:
        """Act on what ends a paragraph, a cell or a row, and on groups with a meaning of their own."""
        flow = self._flows[-1]
        match word:
            case "par" | "sect" | "page":
                self._flows[-1].end_paragraph(self._state, self._styles)
            case "cell" | "nestcell":
                flow.end_paragraph(self._state, self._styles, in_cell=True)
                flow.table.end_cell(is_nested=word == "nestcell")
            case "row" | "nestrow":
                flow.table.end_row(is_nested=word == "nestrow")
            case "listtext" | "pntext":
                self._state.into, flow.mark = "mark", ""
            case "stylesheet":
                self._state.into, self._state.style = "stylesheet", 0
            case "fonttbl":
                self._state.into = "fonttbl"
            case "ftnalt":
                flow.kind = "endnote"
            case _ if word in _ABOUT and len(self._states) > 1:
                self._state.into = word
            case _:
                return flow.table.define(word)
        return True

    def _property(self, word: str, number: int | None) -> None:
        state = self._state
        match word:
            case "pard":
                state.in_table, state.style, state.outline, state.depth = False, 0, None, 0
            case "intbl":
                state.in_table = True
            case "s":
                state.style = number or 0
            case "outlinelevel":
                state.outline = number
            case "ilvl":
                state.depth = min(max(number or 0, 0), 8)
            case "v" | "deleted":
                state.shown = number == 0
            case "cellx" | "trhdr" | "trowd":
                self._flows[-1].table.place(word, number)
            case _:
                self._encoded(word, number)

    def _encoded(self, word: str, number: int | None) -> None:
        """Act on what says how the bytes that follow are to be read."""
        state = self._state
        match word:
            case "uc":
                state.skip = min(max(number or 0, 0), 100)
            case "ansicpg":
                state.encoding = self._default = _encoding(number)
            case "mac":
                state.encoding = self._default = "mac-roman"
            case "f" if state.into == "fonttbl":
                self._font = number or 0
            case "f":
                state.encoding = self._fonts.get(number or 0, self._default)
            case "fcharset" if state.into == "fonttbl" and number in CODEPAGES:
                self._fonts[self._font] = CODEPAGES[number] if number else self._default
            case "plain":
                state.shown, state.encoding = True, self._default

    def _end_aside(self) -> None:
        """Put what stands elsewhere where it belongs: behind its paragraph, before or behind the document."""
        self._ends.pop()
        self._flows[-1].end_paragraph(self._state, self._styles)
        flow = self._flows.pop()
        flow.end_table()
        above = self._flows[-1]
        if flow.kind in _HEADERS:
            self._flows[0].found.append(Element(self._heads["header"].new(flattened(flow.found))))
        elif flow.kind in _FOOTERS:
            self._footers.append(Element(self._heads["footer"].new(flattened(flow.found))))
        elif flow.kind in ("footnote", "endnote"):
            self._notes[flow.kind] += 1
            text = flattened(flow.found)
            above.aside.append(Element(f"[{self._notes[flow.kind]}] {text}" if text.strip() else ""))
        else:
            above.aside += flow.found


def _encoding(number: int | None) -> str:
    names = {10000: "mac-roman", 65001: "utf-8"}
    name = names.get(number or 0, f"cp{number}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"
