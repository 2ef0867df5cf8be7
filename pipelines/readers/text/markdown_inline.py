"""The words of a paragraph of Markdown or of HTML in it, without their marks; each step is linear in its length."""

from __future__ import annotations

import html
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass

_VERBATIM = re.compile(
    r"(?<!`)``(?!`)([^`\x00](?:[^`\x00]|`(?!`)){0,1000})``(?!`)|(?<!`)`([^`\x00]{1,2000})`(?!`)"
    r"|\\([!-/:-@\[-`{-~])|(\$[^$\s\x00](?:[^$\n\x00]{0,400}[^$\s\x00])?\$(?!\d))"
)
"""Code, escaped signs and formulas, whose stars and brackets are their own."""
_ADDRESS = r"(?:[^()<>\s]{0,2000}|<[^<>\n]{0,2000}>|[^()\s]{0,1000}\([^()\s]{0,1000}\)[^()\s]{0,1000})"
_LINKED = r"\(\s{0,3}" + _ADDRESS + r"(?:\s{1,3}(?:\"[^\"\n]{0,500}\"|'[^'\n]{0,500}'))?\s{0,3}\)"
_IMAGE = re.compile(r"!\[([^\[\]]{0,1000})\](?:" + _LINKED + r"|\[[^\[\]\n]{0,200}\])")
_LINK = re.compile(r"(?<!!)\[([^\[\]]{1,2000})\](?:" + _LINKED + r"|\[[^\[\]\n]{0,200}\])")
_TARGET = re.compile(r"[ ]{0,3}\[(?!\^)[^\[\]\n]{1,200}\]:[ \t]{0,5}\S{1,2000}(?:[ \t]{1,5}[\"'(][^\n]{0,500})?[ \t]*")
"""A line that says where links lead to."""
_BARE = re.compile(r"<((?:https?|ftp|mailto):[^<>\s]{1,2000}|[\w.+-]{1,64}@[\w.-]{1,255})>")
_RUN = re.compile(r"\*{1,3}|_{1,3}|~~")
_HARD_BREAK = re.compile(r"(?: {2,20}|\\)\n[ \t]*")
_SOFT_BREAK = re.compile(r"[ \t]{0,20}\n[ \t]*")
_PUNCTUATION = frozenset(string.punctuation + "«»“”„’‘…—–")

_TAG = re.compile(
    r"<(/?)(a|abbr|acronym|address|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|col|colgroup|"
    r"dd|del|details|dfn|div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|"
    r"ins|kbd|label|li|link|main|mark|meta|nav|ol|option|p|picture|pre|q|s|samp|script|section|select|small|source|span|"
    r"strike|strong|style|sub|summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|time|title|tr|tt|u|ul|var|video|wbr)"
    r"(?=[\s/>])[^<>]{0,5000}>",
    re.IGNORECASE,
)
_INLINE = frozenset(
    {
        "a",
        "abbr",
        "acronym",
        "b",
        "big",
        "cite",
        "code",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "label",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
        "svg",
    }
)
_ALT = re.compile(r"\balt\s{0,3}=\s{0,3}(?:\"([^\"]{0,1000})\"|'([^']{0,1000})')", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")


def words_of(source: str) -> str:
    """Return what a reader sees of a paragraph's source: one line, but for the breaks that its author wants."""
    verbatim: list[str] = []
    text = source
    if "`" in text or "\\" in text or "$" in text:
        text = _HARD_BREAK.sub("  \n", text)
        text = _VERBATIM.sub(lambda found: _kept(found, verbatim), text)
    if "](" in text or "][" in text or "]:" in text:
        text = "\n".join(line for line in text.split("\n") if not _TARGET.fullmatch(line))
        text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    if "<" in text:
        text = words_of_html(_BARE.sub(r"\1", text), inline=True)
    elif "&" in text:
        text = html.unescape(text)
    if "*" in text or "_" in text or "~~" in text:
        text = _without_emphasis(text)
    if "\n" in text:
        text = _SOFT_BREAK.sub(" ", _HARD_BREAK.sub("\x01", text)).replace("\x01", "\n")
    if verbatim:
        parts = iter(verbatim)
        text = re.sub("\x00", lambda _: next(parts, ""), text)
    return text.replace("\n ", "\n").strip()


def words_of_html(markup: str, *, inline: bool = False) -> str:
    """Return the text of HTML inside of Markdown, cells of a row joined by ` | `; what is no HTML stays."""
    text = _without(_without(_without(markup, "<!--", "-->"), "<script", "</script>"), "<style", "</style>")
    text = html.unescape(_TAG.sub(_instead, text)).replace("\x00", "\ufffd") if not inline else _TAG.sub(_instead, text)
    if inline:
        return html.unescape(text) if "&" in text else text
    lines = (_SPACES.sub(" ", line).strip(" |") for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _kept(found: re.Match[str], verbatim: list[str]) -> str:
    code = found[1] or found[2]
    verbatim.append(" ".join(code.split("\n")).strip() or code if code else found[3] or found[4])
    return "\x00"


def _instead(found: re.Match[str]) -> str:
    tag = found[2].lower()
    if tag in ("td", "th"):
        return " | " if found[1] else ""
    if tag == "br":
        return "  \n"
    if tag == "img" and (alt := _ALT.search(found[0])):
        return alt[1] or alt[2] or ""
    return "" if tag in _INLINE else "\n"


def _without(text: str, start: str, end: str) -> str:
    """Leave out everything from each `start` to the `end` after it."""
    if start not in text:
        return text
    kept = []
    place = 0
    while (first := text.find(start, place)) >= 0 and (last := text.find(end, first)) >= 0:
        kept.append(text[place:first])
        place = last + len(end)
    return "".join(kept) + text[place:]


@dataclass(slots=True)
class _Run:
    start: int
    left: int


def _without_emphasis(text: str) -> str:
    """Leave out stars, underscores and tildes that come in pairs around words; all others stay."""
    opened: dict[str, list[_Run]] = {"*": [], "_": [], "~": []}
    dropped: list[tuple[int, int]] = []
    for found in _RUN.finditer(text):
        sign, run = found[0][0], _Run(found.start(), len(found[0]))
        opens, closes = _flanks(text, found.start(), found.end())
        waiting = opened[sign]
        while closes and run.left and waiting:
            opener = waiting[-1]
            taken = min(opener.left, run.left)
            opener.left -= taken
            dropped += [(opener.start + opener.left, taken), (run.start, taken)]
            run = _Run(run.start + taken, run.left - taken)
            if not opener.left:
                waiting.pop()
        if opens and run.left:
            waiting.append(run)
    return "".join(_rest(text, sorted(dropped)))


def _rest(text: str, dropped: list[tuple[int, int]]) -> Iterator[str]:
    place = 0
    for start, length in dropped:
        yield text[place:start]
        place = start + length
    yield text[place:]


def _flanks(text: str, start: int, end: int) -> tuple[bool, bool]:
    """Tell whether a run of signs can begin and end emphasis (CommonMark 0.31, section 6.2)."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    left = not after.isspace() and (after not in _PUNCTUATION or before.isspace() or before in _PUNCTUATION)
    right = not before.isspace() and (before not in _PUNCTUATION or after.isspace() or after in _PUNCTUATION)
    if text[start] != "_":
        return left, right
    return left and (not right or before in _PUNCTUATION), right and (not left or after in _PUNCTUATION)
