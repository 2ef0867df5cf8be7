"""The groups, words and characters of Rich Text Format, after its specification 1.9.1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    rb"""\\(?P<word>[A-Za-z]{1,32})(?P<number>-?\d{1,10})?\ ?
    |\\'(?P<hex>[0-9A-Fa-f]{2})
    |\\(?P<sign>[^A-Za-z])
    |(?P<brace>[{}])
    |[\r\n\0]+
    |(?P<text>[^\\{}\r\n\0]{1,1048576})""",
    re.VERBOSE | re.DOTALL,
)
CODEPAGES = {
    **{0: "cp1252", 77: "mac-roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "big5", 161: "cp1253"},
    **{162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874"},
    **{238: "cp1250", 254: "cp437", 255: "cp850"},
}
"""Encodings by the numbers of Windows' character sets."""
CHARACTERS = {
    **{"tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“"},
    **{"rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ", "qmspace": " ", "column": "\n"},
}
SIGNS = {b"~": "\u00a0", b"_": "-", b"-": "", b"\\": "\\", b"{": "{", b"}": "}", b"\n": "\r", b"\r": "\r"}
"""Characters behind a backslash; a carriage return stands for the end of the paragraph."""


class Token(NamedTuple):
    """`kind`: `{`, `}`, `word`, `star` (what follows may be ignored), `byte`, `text` (bytes), `sign` (a character)."""

    kind: str
    word: str = ""
    number: int | None = None
    data: bytes = b""


def tokens(data: bytes) -> Iterator[Token]:
    """Yield the tokens of a file; what `\\bin` says to be raw data is passed over."""
    at = 0
    while found := _TOKEN.match(data, at):
        at = found.end()
        match found.lastgroup:
            case "word" | "number":
                word = found["word"].decode("ascii")
                number = int(found["number"]) if found["number"] else None
                if word == "bin":
                    at += max(number or 0, 0)
                else:
                    yield Token("word", word, number)
            case "hex":
                yield Token("byte", data=bytes([int(found["hex"], 16)]))
            case "sign":
                if found["sign"] == b"*":
                    yield Token("star")
                else:
                    yield Token("sign", SIGNS.get(found["sign"], ""))
            case "brace":
                yield Token(found["brace"].decode("ascii"))
            case "text":
                yield Token("text", data=found["text"])
