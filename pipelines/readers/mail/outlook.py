"""Mails saved by Outlook (.msg, MS-OXMSG), taken apart into the parts that every mail has."""

from __future__ import annotations

import struct
from base64 import encodebytes
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import Header
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32
from typing import Any

from ragline.errors import ParseFailed
from ragline.pipelines.readers.archives.inside import label
from ragline.pipelines.readers.mail.body import is_stub
from ragline.pipelines.readers.mail.headers import SHOWN, header, known_charset
from ragline.pipelines.readers.mail.mail import ENCRYPTED, elements
from ragline.pipelines.readers.mail.outlook_rtf import decompressed
from ragline.pipelines.readers.text.plain import decode
from ragline.pipelines.reading import MAX_DEPTH, Reading
from ragline.types import Element

_UTF16, _BYTES, _BINARY, _OBJECT = 0x001F, 0x001E, 0x0102, 0x000D
_CLASS, _SUBJECT, _HEADERS, _CODEPAGE, _HTML_CODEPAGE = 0x001A, 0x0037, 0x007D, 0x3FFD, 0x3FDE
_SEALED = "ipm.note.smime"
_PLAIN, _HTML, _RTF = 0x1000, 0x1013, 0x1009
_SENDERS = ((0x0C1A, 0x5D01, 0x0C1F), (0x0042, 0x5D02, 0x0065))
"""Name, internet address and address of who sent it, then of whom it was sent for."""
_DATES = (0x0039, 0x0E06, 0x3007)
"""When it was sent, delivered, made."""
_NAME, _SMTP, _ADDRESS, _KIND = 0x3001, 0x39FE, 0x3003, 0x0C15
_DATA, _FILENAMES, _MIME, _CONTENT_ID = 0x3701, (0x3707, 0x3704, _NAME), 0x370E, 0x3712
_DISPLAYED = {"To": (1, 0x0E04), "Cc": (2, 0x0E03)}
"""The kind of such recipients, and the property that names them all."""
_SECTORS = struct.Struct("<30xHH")
_SIZES = ((9, 6), (12, 6))
"""Powers of two: MS-CFB, 2.2."""
_TOP_HEADER, _EMBEDDED_HEADER, _PART_HEADER = 32, 24, 8


def mail(reading: Reading) -> Iterator[Element]:
    """Yield headers, text and attachments as of any mail, mails in it included."""
    import olefile  # type: ignore[import-untyped]  # has no types

    with reading.path.open("rb") as file:
        head = file.read(_SECTORS.size)
    if len(head) < _SECTORS.size or _SECTORS.unpack(head) not in _SIZES:  # olefile reads sectors of any size
        raise ValueError("a container with sectors of an odd size")
    with olefile.OleFileIO(str(reading.path)) as ole:
        if not ole.exists("__properties_version1.0"):
            raise ParseFailed("is no mail of Outlook; save it as .msg or .eml")
        item = _Item(ole, (), _TOP_HEADER)
        if item.text(_CLASS).lower() == _SEALED:
            raise ParseFailed(ENCRYPTED)
        message = _message(reading, item, MAX_DEPTH - reading.depth)
    yield from elements(reading, message)


class _Item:
    """A mail, a recipient or an attachment: a folder of an OLE container with properties in it."""

    def __init__(self, ole: Any, path: Sequence[str], header_bytes: int, codepage: str | None = None) -> None:
        self._ole = ole
        self._path = [*path]
        fixed = self._stream("__properties_version1.0")[header_bytes:]
        rows = struct.iter_unpack("<HHL8s", fixed[: len(fixed) // 16 * 16])
        self._fixed: dict[int, bytes] = {tag: value for _, tag, _, value in rows}
        self.codepage = _charset(self.number(_CODEPAGE)) or codepage

    def number(self, tag: int) -> int:
        """Return a whole number, 0 where there is none."""
        return int.from_bytes(self._fixed.get(tag, b"")[:4], "little", signed=True)

    def date(self, tag: int) -> str:
        """Return a time in ISO 8601, empty where there is none."""
        ticks = int.from_bytes(self._fixed.get(tag, b""), "little")  # of 100 ns, from 1601 on
        try:
            when = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return ""
        return when.isoformat(timespec="seconds") if ticks else ""

    def text(self, tag: int) -> str:
        """Return a text, empty where there is none."""
        if data := self._stream(_name(tag, _UTF16)):
            return data.decode("utf-16-le", errors="replace").rstrip("\0")
        return decode(self._stream(_name(tag, _BYTES)), self.codepage).rstrip("\0")

    def binary(self, tag: int) -> bytes:
        return self._stream(_name(tag, _BINARY))

    def html(self) -> str:
        data = self.binary(_HTML)
        return decode(data, _charset(self.number(_HTML_CODEPAGE)) or self.codepage) if data else self.text(_HTML)

    def inside(self, beginning: str) -> Iterator[_Item]:
        """Yield the recipients or the attachments."""
        depth = len(self._path)
        names = {each[depth] for each in self._ole.listdir() if each[:depth] == self._path and len(each) > depth + 1}
        for name in sorted(names):
            if name.startswith(beginning):
                yield _Item(self._ole, [*self._path, name], _PART_HEADER, self.codepage)

    def embedded(self) -> _Item | None:
        """Return the mail that an attachment is, None for other attachments."""
        path = [*self._path, _name(_DATA, _OBJECT)]
        if not self._ole.exists([*path, "__properties_version1.0"]):
            return None
        return _Item(self._ole, path, _EMBEDDED_HEADER, self.codepage)

    def _stream(self, name: str) -> bytes:
        path = [*self._path, name]
        return bytes(self._ole.openstream(path).read()) if self._ole.exists(path) else b""


def _message(reading: Reading, item: _Item, levels: int) -> Message:
    """Return a mail as MIME has it, with those in it down to so many levels. Raises OverLimit."""
    message = Message()
    for name, value in zip(SHOWN, _headers(item), strict=True):
        if value:
            message[name] = _folded(value)
    message["Content-Type"] = "multipart/mixed"
    message.set_payload([])
    plain, html = item.text(_PLAIN), item.html()
    if plain.strip() and not (html and is_stub(plain, html)):
        message.attach(_part("text/plain", plain.encode("utf-8", "replace"), charset="utf-8"))
    elif html.strip():
        message.attach(_part("text/html", html.encode("utf-8", "replace"), charset="utf-8"))
    elif compressed := item.binary(_RTF):
        rtf = decompressed(compressed)
        reading.budget.take_bytes(len(rtf))
        message.attach(_part("application/rtf", rtf, filename="message.rtf"))
    for each in item.inside("__attach_version1.0_#"):
        _attach(reading, message, each, html=html, levels=levels)
    return message


def _attach(reading: Reading, message: Message, each: _Item, *, html: str, levels: int) -> None:
    """Put an attachment into the message; pictures that its HTML shows are left out."""
    name = label(next(filter(None, map(each.text, _FILENAMES)), ""), "an attachment without a name")
    if (mail_inside := each.embedded()) is not None:
        if levels <= 0:
            reading.note(f"{name}: lies more than {MAX_DEPTH} files deep and was not read")
            return
        part = Message()
        part["Content-Type"] = "message/rfc822"
        part.set_payload([_message(reading, mail_inside, levels - 1)])
        message.attach(part)
        return
    kind, cid = each.text(_MIME).lower() or "application/octet-stream", each.text(_CONTENT_ID).strip("<> ")
    if kind.startswith("image/") and cid and f"cid:{cid}" in html:
        return
    try:
        data = each.binary(_DATA)
    except OSError:  # of the container; nothing is read from the disk here
        reading.note(f"{name}: is damaged and was not read")
        return
    if not data:
        reading.note(f"{name}: is empty, not in the mail, or in a format of Outlook's own")
    elif kind == "multipart/signed":  # the whole text of a mail that is signed by S/MIME
        message.attach(message_from_bytes(data, policy=compat32))
    else:
        message.attach(_part("application/octet-stream", data, filename=name))


def _headers(item: _Item) -> Iterator[str]:
    """Yield what the headers of `SHOWN` say: as Outlook shows them, else as they came."""
    sent = HeaderParser().parsestr(item.text(_HEADERS))
    people = list(item.inside("__recip_version1.0_#"))
    for name in SHOWN:
        match name:
            case "Subject":
                found = item.text(_SUBJECT)
            case "From":
                found = next(filter(None, (_person(item, *tags) for tags in _SENDERS)), "")
            case "Date":
                found = next(filter(None, map(item.date, _DATES)), "")
            case _:
                kind, all_names = _DISPLAYED[name]
                meant = [_person(each, _NAME, _SMTP, _ADDRESS) for each in people if each.number(_KIND) == kind]
                found = ", ".join(filter(None, meant)) or item.text(all_names)
        yield found.strip() or header(sent, name)


def _person(item: _Item, name: int, smtp: int, address: int) -> str:
    called = item.text(name).strip()
    mail_address = next((text for text in map(item.text, (smtp, address)) if "@" in text), "")
    if not mail_address or mail_address == called:
        return mail_address or called
    return f"{called} <{mail_address}>".strip()


def _folded(value: str) -> str:
    return Header(" ".join(value.split()), "utf-8").encode()


def _part(kind: str, data: bytes, **parameters: str) -> Message:
    """Return a part; with a filename it is an attachment."""
    part = Message()
    part["Content-Type"] = kind
    for key, value in parameters.items():
        if key == "filename":
            part["Content-Disposition"] = "attachment"
            part.set_param(key, value, header="Content-Disposition", charset="utf-8")
        else:
            part.set_param(key, value)
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(encodebytes(data).decode())
    return part


def _name(tag: int, kind: int) -> str:
    return f"__substg1.0_{tag:04X}{kind:04X}"


def _charset(codepage: int) -> str | None:
    """Return Python's name of a code page of Windows."""
    known = {65001: "utf-8", 20127: "ascii", 28591: "iso-8859-1", 28605: "iso-8859-15", 1200: "utf-16-le"}
    return known_charset(known.get(codepage, f"cp{codepage}")) if codepage > 0 else None
