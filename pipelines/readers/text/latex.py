"""LaTeX: titles, paragraphs, items, tables and listings, with formulas as they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ragline.pipelines.readers.tables.tables import table
from ragline.pipelines.readers.text.encoding import decoded
from ragline.pipelines.readers.text.plain import cut, lines_of
from ragline.pipelines.reading import Reading
from ragline.types import Element

_LEVELS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")
_TITLE = re.compile(r"\\(part|chapter|section|subsection|subsubsection|paragraph|subparagraph)\*?[ \t]*(?=[\[{])")
_VERBATIM = "verbatim|Verbatim|lstlisting|minted|alltt|comment"
_BEGIN = re.compile(rf"\\begin\{{({_VERBATIM})\*?\}}")
_TABLE = re.compile(r"\\begin\{(tabular[x*]?|longtable|tabulary|array)\}")
_ABSTRACT = re.compile(r"\\begin\{abstract\}")
_PLACES = re.compile(f"{_TITLE.pattern}|{_TABLE.pattern}|{_ABSTRACT.pattern}")
_ELSEWHERE = re.compile(r"\\(?:input|include|subfile)\{([^{}\n]{1,200})\}")
_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*|\\par\b")
_MATH = re.compile(r"(\$\$[^$]{1,4000}\$\$|\$[^$]{1,1000}\$|\\\([^()]{1,1000}\\\)|\\\[[^\[\]]{1,4000}\\\])")

_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "H": "\u030b", "u": "\u0306", "r": "\u030a", "k": "\u0328",
}  # fmt: skip
_ACCENT = re.compile(
    r"\\(?:(['`^\"~=.])[ \t]?|([cvHurk])(?=[ {\\]) ?)"
    r"(?:\{[ ]?(?:\\([ij])|([A-Za-z]))[ ]?\}|\\([ij])(?![A-Za-z])[ ]?|([A-Za-z]))"
)
_LETTERS = {"oe": "œ", "OE": "Œ", "ae": "æ", "AE": "Æ", "ss": "ß", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø", "l": "ł",
            "L": "Ł", "og": "« ", "fg": " »", "ldots": "…", "dots": "…", "textendash": "–", "textemdash": "—",
            "euro": "€", "EUR": "€", "S": "§", "copyright": "©", "textbackslash": "\\", "degres": "°", "no": "n°",
            "ier": "er", "iere": "re", "ieme": "e"}  # fmt: skip
_LETTER = re.compile(rf"\\({'|'.join(sorted(_LETTERS, key=len, reverse=True))})(?![A-Za-z])(?:\{{\}}|[ \t])?")
_LEFT_OUT = re.compile(
    r"\\(?:label|vspace|hspace|bibliographystyle|bibliography|includegraphics|pagestyle|thispagestyle|setlength|"
    r"addcontentsline|setcounter|usepackage|documentclass|newcommand|renewcommand|index|newline|centering|maketitle|"
    r"input|include|subfile|bibitem|fontsize|resizebox|graphicspath|begin\{thebibliography\})"
    r"\*?(?:\[[^\[\]\n]{0,300}\])?(?:\{[^{}]{0,500}\}){0,3}"
)
_LINK = re.compile(r"\\(?:href|textcolor|color)(?:\[[^\[\]\n]{0,50}\])?\{[^{}]{0,2000}\}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[^{}\n]{1,60}\}(?:\[[^\[\]\n]{0,200}\])?")
_ITEM = re.compile(r"\\item(?![A-Za-z])[ \t]*(?:\[([^\[\]\n]{0,200})\])?")
_COMMAND = re.compile(r"\\[A-Za-z@]+\*?(?:\[[^\[\]\n]{0,300}\])?[ \t]?")
_BRACE = re.compile(r"\\.|[{}]")
_MAX_ARGUMENT_CHARS = 20_000
_THANKS = re.compile(r"\\(?:thanks|footnote|And\b|AND\b|\\)")
_FOOTNOTE = re.compile(r"\\footnote(?:text)?[ \t]?\{")


def latex(reading: Reading) -> Iterator[Element]:
    """Yield the document between its beginning and end; what it takes from other files is noted, for it is not here."""
    source = lines_of(decoded(reading))
    for name in dict.fromkeys(found[1] for found in _ELSEWHERE.finditer(_COMMENT.sub("", source))):
        reading.note(f"it takes {name!r} from another file, which is not part of it; add that file, too")
    preamble, begun, body = source.partition("\\begin{document}")
    if not begun:
        preamble, body = "", source
    body = body.partition("\\end{document}")[0]
    titled = 0
    source = _COMMENT.sub("", preamble + body)
    braces = _braces(source)
    for command in ("title", "author", "date"):
        found = re.search(rf"\\{command}[ \t]*(?:\[[^\[\]\n]{{0,200}}\])?(?=\{{)", source)
        said = _THANKS.split(_argument(source, found.end(), braces)[0])[0] if found else ""
        if text := _one_line(said):
            if command == "title":
                titled = 1
                yield Element(text, "title", level=1)
            reading.about[command] = text[:500]
    present = [level for level in _LEVELS if re.search(rf"\\{level}\*?[ \t]*[\[{{]", body)]
    levels = {level: number + 1 + titled for number, level in enumerate(present)}
    for text, is_code in _parts(body):
        if is_code:
            for part in cut(text.strip("\n").rstrip()):
                yield Element(part, "code")
        else:
            yield from _prose(_COMMENT.sub("", text), levels)


def _parts(body: str) -> Iterator[tuple[str, bool]]:
    """Yield stretches of the source, and whether each is shown as it is written; comments are left out."""
    place = 0
    while found := _BEGIN.search(body, place):
        end_mark = f"\\end{{{found[1]}"
        end = body.find(end_mark, found.end())
        if end < 0:
            break
        yield body[place : found.start()], False
        if found[1] != "comment":
            yield re.sub(r"\A(?:\[[^\[\]\n]{0,300}\]|\{[^{}\n]{0,60}\}){0,2}", "", body[found.end() : end]), True
        place = body.find("}", end) + 1
    yield body[place:], False


def _prose(text: str, levels: dict[str, int]) -> Iterator[Element]:
    place = 0
    braces = _braces(text)
    while found := _PLACES.search(text, place):
        yield from _paragraphs(text[place : found.start()])
        place = found.end()
        if found[1]:
            if text[place] == "[":
                place = text.find("{", place) if "{" in text[place : place + 500] else place
            title, place = _argument(text, place, braces)
            if words := _one_line(title):
                yield Element(words, "title", level=levels.get(found[1], 1))
        elif found[2]:
            end = text.find(f"\\end{{{found[2]}}}", place)
            end = end if end >= 0 else len(text)
            yield from table(_rows(text[place:end]))
            place = end
        else:
            yield Element("Abstract", "title", level=min(levels.values(), default=1))
    yield from _paragraphs(text[place:])


def _rows(source: str) -> Iterator[list[str]]:
    source = re.sub(r"\A(?:[ \t]*\[[^\[\]\n]{0,20}\])?", "", source)
    for _ in range(2):  # how wide it is, and its columns
        source = source[_argument(source, 0, _braces(source[:500]))[1] :] if source.startswith("{") else source
    rules = r"\\(?:hline|toprule|midrule|bottomrule|cline\{[^{}]{0,20}\}|cmidrule(?:\([^()]{0,9}\))?\{[^{}]{0,20}\})"
    for row in re.split(r"\\\\(?:\[[^\[\]\n]{0,20}\])?|\\tabularnewline", re.sub(rules, "", source)):
        cells = re.sub(r"\\multi(?:column|row)(?:\{[^{}]{0,50}\}|\[[^\[\]]{0,20}\]){2}", "", row)
        yield [_one_line(cell) for cell in re.split(r"(?<!\\)&", cells)]


def _paragraphs(text: str) -> Iterator[Element]:
    for block in _BLANK_LINES.split(_FOOTNOTE.sub("\n\n{", text)):
        if "\\item" not in block:
            for part in cut(words_of(block)):
                yield Element(part)
            continue
        first, *items = re.split(_ITEM.pattern, block)
        if words := words_of(first):
            yield Element(words)
        for label, item in zip(items[::2], items[1::2], strict=True):
            if words := _one_line(item):
                yield Element(f"- {words_of(label)}: {words}" if label else f"- {words}", "list")


def words_of(source: str) -> str:
    """Return the words of a paragraph; formulas stay as they are written."""
    parts = _MATH.split(source)
    text = "".join(part if number % 2 else _plain(part) for number, part in enumerate(parts))
    return "\n".join(line for line in (" ".join(line.split()) for line in text.split("\n")) if line)


def _one_line(source: str) -> str:
    return " ".join(words_of(source).split())


def _plain(text: str) -> str:
    if "\\" in text:
        text = _LEFT_OUT.sub("", _LINK.sub("", text))
        text = _LETTER.sub(lambda found: _LETTERS[found[1]], _ACCENT.sub(_accented, text))
        text = re.sub(r"\\\\(?:\[[^\[\]\n]{0,20}\])?", "\n", _ENVIRONMENT.sub("", text))
        text = re.sub(r"\\[!/-]", "", re.sub(r"\\[,;: ]", " ", text))
        text = re.sub(r"\\([&%$#_{}])", lambda found: f"\x01{found[1]}" if found[1] in "{}" else found[1], text)
        text = _COMMAND.sub("", text)
    text = re.sub(r"(?<!\x01)[{}]", "", text).replace("\x01", "").replace("~", " ")
    return text.replace("---", "—").replace("--", "–").replace("``", "“").replace("''", "”")


def _accented(found: re.Match[str]) -> str:
    mark = _ACCENTS[found[1] or found[2]]
    return unicodedata.normalize("NFC", (found[3] or found[4] or found[5] or found[6]) + mark)


def _braces(text: str) -> dict[int, int]:
    """Return for each opening brace where the one is that closes it."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    for found in _BRACE.finditer(text):
        if found[0] == "{":
            opened.append(found.start())
        elif found[0] == "}" and opened:
            closing[opened.pop()] = found.start()
    return closing


def _argument(text: str, place: int, braces: dict[int, int]) -> tuple[str, int]:
    """Return what stands between the brace at `place` and the one that closes it, and where the text goes on."""
    end = braces.get(place, -1)
    return (text[place + 1 : end], end + 1) if 0 <= end - place <= _MAX_ARGUMENT_CHARS else ("", place + 1)
