"""Damage done to documents, as disks, networks and enemies do it."""

from __future__ import annotations

import io
import random
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    suffix: str
    content: bytes


def mutated(sample: Sample, others: Sequence[Sample], chance: random.Random) -> tuple[bytes, str, str]:
    """Return a damaged document, its suffix, and how it was damaged."""
    suffix = chance.choice(others).suffix if chance.random() < 0.05 else sample.suffix
    content, how = sample.content, []
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        damage = chance.choice(DAMAGES)
        if zipfile.is_zipfile(io.BytesIO(content)) and chance.random() < 0.7:
            content, done = members_damaged(content, damage, others, chance)
        else:
            content, done = damage(content, others, chance), damage.__name__
        how.append(done)
    return content[:MAX_BYTES], suffix, ", ".join(how)


def flip(content: bytes, _: Sequence[Sample], chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.choice((1, 3, 30, len(data) // 50))):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def cut(content: bytes, _: Sequence[Sample], chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def leave_out(content: bytes, _: Sequence[Sample], chance: random.Random) -> bytes:
    start, end = stretch(content, chance)
    return content[:start] + content[end:]


def repeat(content: bytes, _: Sequence[Sample], chance: random.Random) -> bytes:
    start, end = stretch(content, chance)
    times = min(chance.choice((2, 10, 1000, 30_000)), MAX_BYTES // max(1, end - start))
    return content[:end] + content[start:end] * times + content[end:]


def splice(content: bytes, others: Sequence[Sample], chance: random.Random) -> bytes:
    other = chance.choice(others).content
    start, end = stretch(other, chance)
    place = chance.randrange(len(content) + 1)
    return content[:place] + other[start:end] + content[place + (end - start) * chance.randrange(2) :]


def exchange(content: bytes, _: Sequence[Sample], chance: random.Random) -> bytes:
    one, two = stretch(content, chance), stretch(content, chance)
    (a, b), (c, d) = sorted((one, two))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:] if b <= c else content


def overwrite(content: bytes, _: Sequence[Sample], chance: random.Random) -> bytes:
    """Numbers and signs that programs trip over, where there was something else."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 4, 20))):
        place = chance.randrange(len(data) + 1)
        what = chance.choice(AWKWARD)
        data[place : place + len(what)] = what
    return bytes(data)


def insert(content: bytes, _: Sequence[Sample], chance: random.Random) -> bytes:
    place = chance.randrange(len(content) + 1)
    return content[:place] + chance.choice(AWKWARD) * chance.choice((1, 10, 3000)) + content[place:]


def number(content: bytes, _: Sequence[Sample], chance: random.Random) -> bytes:
    """Another number where one is written in digits: lengths, counts, columns, references."""
    places = [place for place in range(len(content)) if 48 <= content[place] <= 57][:100_000]
    if not places:
        return content
    place = chance.choice(places)
    return content[:place] + chance.choice((b"0", b"-1", b"99999999", b"4294967295", b"1e309")) + content[place + 1 :]


AWKWARD = (
    *(
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x7f\xff\xff\xff",
        b"\x80",
        b"\x00",
        b"\r",
        b"\n",
        b"\t",
        b" ",
        b"\x1b[",
    ),
    *(
        b"<",
        b">",
        b"&",
        b"&#0;",
        b"&amp;",
        b"<!--",
        b"]]>",
        b"<table>",
        b"<div>",
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"(",
        b"\\",
    ),
    *(
        b"obj",
        b"endobj",
        b"stream",
        b"%PDF-",
        b"PK\x03\x04",
        b"From ",
        b"--",
        b"```",
        b"|",
        b"#",
        b"*",
        b"\\'e9",
        b"{\\b ",
    ),
    *("\ufeff".encode(), "\u202e".encode(), "e\u0301".encode(), "😀".encode(), b"\xed\xa0\x80", b"\xc3", b"=?utf-8?q?"),
)

Damage = Callable[[bytes, Sequence[Sample], random.Random], bytes]
DAMAGES: tuple[Damage, ...] = (flip, cut, leave_out, repeat, splice, exchange, overwrite, insert, number)


def stretch(content: bytes, chance: random.Random) -> tuple[int, int]:
    """Return the start and end of a piece, mostly a short one."""
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + chance.choice((1, 8, 100, 2000, len(content))))


def members_damaged(
    content: bytes, damage: Damage, others: Sequence[Sample], chance: random.Random
) -> tuple[bytes, str]:
    """Damage a member of a zip archive, leave it out, double it or give it another name, and pack it again."""
    into = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as new:
            members = [member for member in old.infolist() if member.file_size <= MAX_BYTES]
            # What says most lies in the XML.
            marked = [member for member in members if member.filename.endswith((".xml", ".rels", ".xhtml", ".opf"))]
            victim = chance.choice(marked if marked and chance.random() < 0.8 else members)
            what = chance.choice(("damage",) * 8 + ("leave out", "double", "rename"))
            for member in members:
                data = old.read(member)
                name = member.filename
                if member is not victim:
                    new.writestr(name, data, member.compress_type)
                elif what == "damage":
                    new.writestr(name, damage(data, others, chance)[:MAX_BYTES])
                elif what == "rename":
                    new.writestr(
                        chance.choice(("../../x.txt", "/etc/x", "a\\..\\b.xml", "é" * 200, name.upper())), data
                    )
                elif what == "double":
                    new.writestr(name, data)
                    new.writestr(f"double-{name}", damage(data, others, chance)[:MAX_BYTES])
    except (
        OSError,
        ValueError,
        IndexError,
        RuntimeError,
        NotImplementedError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ):
        return damage(content, others, chance), damage.__name__
    done = damage.__name__ if what == "damage" else what
    return into.getvalue(), f"{done} {victim.filename}"
