"""Retrieved text as data inside a prompt: nothing in it can end its element, open another, or pass for a citation.

A model reads look-alikes as it reads the signs themselves, so they count as these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

MAX_ATTRIBUTE_CHARS = 500

UNSEEN = (
    r"[\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff]*+"
)
"""White space and characters without a width; all that are there at once, so that long runs take no time."""

_BRACKETS = "<＜﹤‹〈⟨〈˂ᐸ❮❬"
_SLASHES = r"[/／⁄∕╱⧸\\＼]?+"
_ALIKE = {
    "s": "sｓѕꜱ",
    "o": "oｏоο0օ",
    "u": "uｕυսʋ",
    "r": "rｒгᴦ",
    "c": "cｃсϲᴄ",
    "e": "eｅеҽ",
    "n": "nｎոп",
    "t": "tｔтτ",
    "x": "xｘхχ",
}
"""Letters of other alphabets that look like these; capitals are covered by the flag."""


def _word(letters: str) -> str:
    return (UNSEEN + "[\u0300-\u036f]*+").join(f"[{_ALIKE[letter]}]" for letter in letters)


FENCE = re.compile(
    rf"(?:[{_BRACKETS}]|&(?P<entity>lt|\#0{{0,9}}60|\#x0{{0,9}}3c);?)"
    rf"(?={UNSEEN}{_SLASHES}{UNSEEN}(?:{_word('source')}|{_word('context')}))",
    re.IGNORECASE,
)
"""What could open or close an element of the prompt."""

_TURN = re.compile(
    r"<(?=[|｜]|/?s>|/?(?:start|end)_of_turn>|</?SYS>>|/?(?:think|tool_call|tool_response|system|user|assistant)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT)\])",
    re.IGNORECASE,
)
"""The beginnings of marks that models know as the start or end of somebody's turn."""

_NUMBER = re.compile(
    r"[\[［【〔⟦](?P<numbers>\s{0,4}[\d０-９]{1,4}(?:\s{0,4}[,;–-]\s{0,4}[\d０-９]{1,4}){0,20}\s{0,4})[\]］】〕⟧]"
)
"""What an answer would cite a source by. Documents have such numbers for their own notes."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def as_data(text: str, *, code: bool = False) -> str:
    """Return a text for the inside of an element: `[3]` becomes `(3)`, in code `[ 3 ]`."""
    text = FENCE.sub(_escaped, text)
    text = _TURN.sub(lambda found: f"{found[0]} ", text)
    return _NUMBER.sub(r"[ \g<numbers> ]" if code else r"(\g<numbers>)", text)


def element(name: str, attributes: Mapping[str, str], text: str, *, code: bool = False) -> str:
    """Return an element of the prompt with its text as data. Attributes are one line each, cut where they are long."""
    shown = " ".join(f"{key}={attribute(value)}" for key, value in attributes.items())
    return f"<{name} {shown}>\n{as_data(text, code=code)}\n</{name}>"


def attribute(value: str) -> str:
    """Return a value in quotes."""
    line = " ".join(_CONTROL.sub(" ", value).split())
    if len(line) > MAX_ATTRIBUTE_CHARS:
        line = line[: MAX_ATTRIBUTE_CHARS - 1] + "…"
    return as_data(quoteattr(line))


def _escaped(found: re.Match[str]) -> str:
    return f"&amp;{found['entity']};" if found["entity"] else "&lt;"
