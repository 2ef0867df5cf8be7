"""Mailboxes: files in the format mbox, where mails follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from ragline.pipelines.parse import inner
from ragline.pipelines.readers.archives.inside import temporary
from ragline.pipelines.readers.mail.headers import in_line
from ragline.pipelines.readers.mail.mail import mail_label
from ragline.pipelines.reading import Reading
from ragline.types import Element


def mails(reading: Reading) -> Iterator[Element]:
    """Yield the mails of a file in the format mbox, each like a document of its own."""
    with reading.path.open("rb") as file:
        for number, lines in enumerate(_mails(file), start=1):
            with temporary() as path:
                subject = ""
                with path.open("wb") as target:
                    for line in lines:
                        reading.budget.take_bytes(len(line))
                        target.write(line)
                        if not subject and line[:8].lower() == b"subject:":
                            subject = in_line(line[8:].decode("ascii", "surrogateescape"))
                yield from inner(reading, path, mail_label(subject, number))


def _mails(file: BinaryIO) -> Iterator[Iterator[bytes]]:
    """Yield the lines of each mail, which a line `From …` begins; it is to be read before the next."""
    blank, first = True, next(file, b"")

    def lines() -> Iterator[bytes]:
        nonlocal blank, first
        first = b""
        for line in file:
            if blank and line.startswith(b"From "):
                first = line
                return
            blank = not line.strip(b"\r\n")
            yield line[1:] if line.startswith(b">") and line.lstrip(b">").startswith(b"From ") else line

    if first and not first.startswith(b"From "):
        yield chain([first], lines())
    while first:
        yield lines()
