"""Bytes become text: by mark, by declaration, as UTF-8, or as the old encoding whose letters make likely words."""

from __future__ import annotations

import codecs
import re

from ragline.pipelines.reading import Reading

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7", "mbcs", "oem"}
)
"""Codecs of Python that no document declares and that cost too much, or run what they read."""
_AS_BROWSERS = {"iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030"}
"""What is declared, by Python's name, and what is meant by it, as browsers read it."""
_MANY_BYTES = ("gb", "big5", "shift", "cp932", "cp949", "cp950", "euc", "johab", "hz", "iso2022")
_ESCAPES = re.compile(rb"\x1b\$[@B]|\x1b\(J|\x1b\$\)C")
_WESTERN_WORDS = re.compile("[\t\r\x1b -~ÀÂÄÇÈÉÊËÎÏÔÖŒÙÛÜàâäçèéêëîïôöœùûüßÁÍÑÓÚáíñóúåøãõ«»°§€£\xa0–—‘’“”„…•·]*")
_SAMPLE = 1024


def decoded(reading: Reading, declared: str | None = None) -> str:
    """Return the text of the file that is read, and note how many of its characters could not be decoded."""
    data = reading.path.read_bytes()
    text = decode(data, declared)
    if "\ufffd" in text and (lost := text.count("\ufffd") - data.count(b"\xef\xbf\xbd")) > 0:
        reading.note(
            f"{lost} of its {len(text)} characters fit no encoding of text and are shown as \ufffd; save it as UTF-8"
        )
    return text


def decode(data: bytes, declared: str | None = None) -> str:
    """Return the text of `data`: by its byte order mark, as UTF-8, as `declared`, or as the likeliest old encoding.

    Never fails: bytes that fit nothing become U+FFFD, and so does NUL.
    """
    text = _decode(data, declared)
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def unicode_encoding(data: bytes) -> str | None:
    """Return the encoding of UTF-8 with a mark, UTF-16 or UTF-32; the last two are known without a mark, too."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding
    sample = data[:_SAMPLE] if len(data) > _SAMPLE else data[: len(data) // 2 * 2]
    return _wide(sample) if len(sample) >= 4 and b"\x00" in sample else None


def _wide(sample: bytes) -> str | None:
    """Of four bytes of a letter in UTF-32 the upper two are zero; of two in UTF-16 the upper one is zero for Latin
    letters and blanks, and one other number for those of another alphabet."""
    if len(sample) >= 8 and len(sample) % 4 == 0:
        first, second, third, fourth = (sample[place::4].count(0) / len(sample[place::4]) for place in range(4))
        if third == fourth == 1 and first < 0.1:
            return "utf-32-le"
        if first == second == 1 and fourth < 0.1:
            return "utf-32-be"
    if _is_upper(sample[1::2]) and 0 not in sample[::2]:
        return "utf-16-le"
    return "utf-16-be" if _is_upper(sample[::2]) and 0 not in sample[1::2] else None


def _is_upper(half: bytes) -> bool:
    zeros = half.count(0)
    other = max((half.count(number) for number in range(1, 0x11)), default=0)
    return zeros > 0.7 * len(half) or (zeros > 0.05 * len(half) and zeros + other > 0.95 * len(half) and len(half) > 7)


def _decode(data: bytes, declared: str | None) -> str:
    if (encoding := unicode_encoding(data)) is not None:
        return data.decode(encoding, errors="replace")
    charset = _charset(declared)
    if charset is not None and charset.startswith(_MANY_BYTES) and (text := _strict(data, charset)) is not None:
        return text
    if (text := _strict(data, "utf-8")) is not None:
        return (_strict(data, "iso2022_jp_2") or text) if _ESCAPES.search(data, 0, 1 << 20) else text
    if charset is not None and charset != "utf-8" and (text := _strict(data, charset)) is not None:
        return text
    return _legacy(data)


def _charset(declared: str | None) -> str | None:
    """Return Python's name of what is declared, None where that is no encoding of text."""
    if not declared or len(declared) > 40:
        return None
    try:
        name = codecs.lookup(declared.strip()).name
    except (LookupError, ValueError):
        return None
    return None if name in _NO_CHARSETS else _AS_BROWSERS.get(name, name)


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (ValueError, LookupError):
        return None


def _legacy(data: bytes) -> str:
    """Damaged UTF-8 as such, anything else as the encoding whose letters are the likeliest, line by line where both
    are mixed: hardly a line in another encoding happens to be right UTF-8."""
    from ragline.pipelines.readers.text.charset import far_east, likeliest

    if (encoding := far_east(data)) is not None:
        return data.decode(encoding, errors="replace")
    lossy = data.decode("utf-8", errors="replace")
    lost = lossy.count("\ufffd")
    right = len(lossy) - lost - len(lossy.encode("ascii", errors="ignore"))
    if lost <= 2 * right:
        return "\n".join(map(_line, data.split(b"\n")))
    encoding = likeliest(data)
    if right == 0:
        return data.decode(encoding, errors="replace")
    lines = data.split(b"\n")
    return "\n".join(
        line if (line := _strict(raw, "utf-8")) is not None else raw.decode(encoding, errors="replace") for raw in lines
    )


def _line(raw: bytes) -> str:
    """Return a line of UTF-8, or one that came from a Western program and was put among such lines."""
    if (line := _strict(raw, "utf-8")) is not None:
        return line
    lossy = raw.decode("utf-8", errors="replace")
    western = raw.decode("cp1252", errors="replace")
    is_western = lossy.count("\ufffd") == sum(sign > "\x7f" for sign in lossy) and _WESTERN_WORDS.fullmatch(western)
    return western if is_western else lossy
