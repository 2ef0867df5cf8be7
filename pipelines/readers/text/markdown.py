"""Markdown: its blocks by markdown-it-py, the words in them without their marks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ragline.pipelines.readers.tables.tables import table
from ragline.pipelines.readers.text.encoding import decoded
from ragline.pipelines.readers.text.markdown_inline import words_of, words_of_html
from ragline.pipelines.readers.text.plain import cut, lines_of
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT = re.compile(r"(---|\+\+\+)[ \t]*\n")
_MAX_FRONT_CHARS = 100_000
_FIELD = re.compile(r"(\w[\w-]{0,40})[ \t]*[:=][ \t]*(.*)")
_ABOUT = {
    "title": "title",
    "titre": "title",
    "author": "author",
    "authors": "author",
    "auteur": "author",
    "date": "date",
    "subject": "subject",
    "description": "subject",
    "lang": "language",
    "language": "language",
}


def markdown(reading: Reading) -> Iterator[Element]:
    """Yield titles, paragraphs, the items of lists with their marks, tables, code, and the front matter."""
    front, body = front_matter(lines_of(decoded(reading)))
    if front:
        about = dict(fields_of(front))
        for name, value in about.items():
            if name in _ABOUT:
                reading.about.setdefault(_ABOUT[name], value[:500])
        title = about.get("title") or about.get("titre")
        if title and not re.search(r"^#[ \t]|^=+[ \t]*$", body, re.MULTILINE):
            yield Element(title, "title", level=1)
        yield Element(front)
    yield from elements_of(body)


def front_matter(text: str) -> tuple[str, str]:
    """Return the lines between two lines of dashes or pluses at the top, and the text after them."""
    found = _FRONT.match(text)
    if found is None:
        return "", text
    end = text.find(f"\n{found[1]}", found.end() - 1, _MAX_FRONT_CHARS)
    line_end = text.find("\n", end + 1)
    if end < 0 or text[end + 4 : line_end if line_end >= 0 else None].strip():
        return "", text
    front = text[found.end() : end].strip("\n")
    first = next((line for line in front.split("\n") if line.strip()), "")
    if not _FIELD.match(first.strip()) and not first.startswith(("#", "[")):
        return "", text  # a rule above a paragraph and one below it
    return front, text[line_end + 1 :] if line_end >= 0 else ""


def fields_of(front: str) -> Iterator[tuple[str, str]]:
    """Yield the names, in lower case, and the values of the lines `name: value`."""
    for line in front.split("\n"):
        if (found := _FIELD.match(line)) and (value := found[2].strip().strip("\"'").strip("[]").strip()):
            yield found[1].lower(), value


def elements_of(source: str) -> Iterator[Element]:
    """Yield the elements of a text in Markdown (CommonMark with the tables of GitHub)."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table").disable("reference")
    parser.core.ruler.enableOnly(["normalize", "block"])
    yield from _Walk(parser.parse(source)).elements()


class _Walk:
    """Goes through the tokens of the blocks; knows in which lists it is."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._numbers: list[int | None] = []
        self._mark = ""

    def elements(self) -> Iterator[Element]:
        rows: list[list[str]] = []
        level = 0
        for token in self._tokens:
            match token.type:
                case "heading_open":
                    level = int(token.tag[1])
                case "inline" if rows:
                    rows[-1].append(words_of(token.content))
                case "inline":
                    yield from self._words(token.content, level)
                    level = 0
                case "tr_open":
                    rows.append([])
                case "table_close":
                    yield from table(rows, headers=1)
                    rows = []
                case "fence" | "code_block" | "html_block":
                    yield from self._block(token)
                case _:
                    self._follow_lists(token)

    def _follow_lists(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open":
                self._numbers.append(None)
            case "ordered_list_open":
                self._numbers.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                self._numbers.pop()
            case "list_item_open":
                self._mark = self._next_mark()

    def _words(self, content: str, level: int) -> Iterator[Element]:
        text = words_of(content)
        if level:
            yield Element(" ".join(text.split()), "title", level=level)
        elif self._numbers:
            depth = "  " * (len(self._numbers) - 1)
            mark, self._mark = self._mark, ""
            indented = text.replace("\n", f"\n{depth}  ")
            yield Element(f"{depth}{mark or '  '}{indented}", "list")
        else:
            for part in cut(text):
                yield Element(part)

    def _block(self, token: Token) -> Iterator[Element]:
        if token.type == "html_block":
            for part in cut(words_of_html(token.content)):
                yield Element(part)
            return
        for part in cut(token.content.strip("\n").rstrip()):
            yield Element(part, "code")

    def _next_mark(self) -> str:
        number = self._numbers[-1]
        if number is None:
            return "- "
        self._numbers[-1] = number + 1
        return f"{number}. "
