"""Printed lines become running text: the halves of words that a line's end parts are joined."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

HYPHEN = "\ufffe"
"""At the end of a line: the word goes on in the next one."""
_COMPOUND = re.compile(r"\w+-\w+")
_FRENCH_AFTER_HYPHEN = frozenset({"il", "ils", "je", "nous", "vous", "moi", "toi", "ci", "là", "même", "mêmes", "être"})
_LAST_WORD = re.compile(r"\w*$")
_FIRST_WORD = re.compile(r"\w*")
_NO_BLANKS = re.compile("[\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")  # Chinese, Japanese


def compounds(text: str) -> set[str]:
    """Return the words with a hyphen in them, in lower case: they keep it at a line's end."""
    return set(_COMPOUND.findall(text.lower())) if "-" in text else set()


def joined(lines: Iterable[str], known: Collection[str]) -> str:
    """Return lines as one text: a hyphen at a line's end joins the halves of a word, any other end is a blank.

    `known` are words that have a hyphen of their own. Chinese and Japanese have no blanks between lines.
    """
    parts: list[str] = []
    for line in lines:
        if not line:
            continue
        if parts:
            last = parts[-1]
            if last.endswith((HYPHEN, "-")) and last[-2:-1].isalnum():
                parts[-1] = last[:-1] + ("-" if _keeps_hyphen(last[:-1], line, known) else "")
            elif line[0] not in ",.;)" and not (_NO_BLANKS.match(line) and _NO_BLANKS.match(last[-1:])):
                parts.append(" ")
        parts.append(line)
    return "".join(parts).replace(HYPHEN, "-")


def word_count(text: str) -> int:
    """Return how many words a line has, about; where there are no blanks between them, one for two characters."""
    return text.count(" ") + 1 if not _NO_BLANKS.match(text) else 1 + len(text) // 2


def _keeps_hyphen(before: str, after: str, known: Collection[str]) -> bool:
    """True for `Saint-Malo`, `19-20`, `n-tuple`, `affecte-t-il`, `peut-être` and what has a hyphen elsewhere."""
    left = _last_word(before)
    right = _first_word(after)
    if len(left) == 1 or not (left[-1:].islower() and right[:1].islower()):
        return True
    return right in _FRENCH_AFTER_HYPHEN or after.startswith("t-") or f"{left}-{right}".lower() in known


def _last_word(text: str) -> str:
    found = _LAST_WORD.search(text[-100:])
    return found[0] if found else ""


def _first_word(text: str) -> str:
    found = _FIRST_WORD.match(text)
    return found[0] if found else ""
