"""How documents are made that should not be read as they say: bombs, circles, depths, ways out."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from email.message import EmailMessage

from tests.parsing.samples import docx, samples, zipped

ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "pompe" * 20}">' for n in range(12))
BOMB = f"<!DOCTYPE x [{ENTITIES}]>"
OUTSIDE = '<!DOCTYPE x [<!ENTITY e11 SYSTEM "file:///etc/passwd">]>'
NOTES = "<?xml version='1.0'?>{}<notes>été &e11;</notes>"
WORD = "{{http://schemas.openxmlformats.org/wordprocessingml/2006/main}}{}"
NAMES = (
    "../../évadé.txt",
    "/etc/été.txt",
    "C:\\temp\\a.txt",
    "a\x00b.txt",
    "é" * 150 + ".txt",
    "a\u202etxt.exe",
    "📄.md",
    "a\nb.txt",
)


def patched(content: bytes, member: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return a zip archive with one member changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = change(members[member])
    return zipped(members)


def with_doctype(doctype: str, name: str) -> Callable[[bytes], bytes]:
    """Put a doctype before the root element, and use its entity where the text of a document is."""

    def change(xml: bytes) -> bytes:
        text = xml.decode()
        start = text.index("<", text.index("?>") + 2) if "?>" in text else 0
        return (text[:start] + doctype + text[start:].replace(name, f"{name} &e11;", 1)).encode()

    return change


def zeros(size: int) -> Iterator[bytes]:
    for _ in range(size >> 20):
        yield bytes(1 << 20)


def zip_of_zeros(size: int, name: str) -> bytes:
    into = io.BytesIO()
    with (
        zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as member,
    ):
        for part in zeros(size):
            member.write(part)
    return into.getvalue()


def lying_zip(size: int, name: str) -> bytes:
    """Return a zip whose member says that it has 100 bytes, in both of its heads."""
    data = zip_of_zeros(size, name)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        told = struct.pack("<I", archive.infolist()[0].file_size)
    return data.replace(told, struct.pack("<I", 100))


def gzip_of_zeros(size: int) -> bytes:
    into = io.BytesIO()
    with gzip.GzipFile(fileobj=into, mode="wb", compresslevel=1) as file:
        for part in zeros(size):
            file.write(part)
    return into.getvalue()


def raw_pdf(*objects: bytes) -> bytes:
    """Return a PDF of these objects, numbered from 1; the first is its catalogue."""
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n%b%b" % (size, table, end)


def stream(content: bytes, keys: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), keys, content)


def bomb_pdf() -> bytes:
    packed = zlib.compress(b" " * (300 << 20), 1)
    for _ in range(2):
        packed = zlib.compress(packed, 9)
    keys = b"/Filter [/FlateDecode /FlateDecode /FlateDecode]"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R >>"
    return raw_pdf(CATALOGUE, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, stream(packed, keys))


CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"


def cyclic_pdf() -> bytes:
    return raw_pdf(
        CATALOGUE,
        b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 9 /Parent 3 0 R >>",
        b"<< /Type /Pages /Kids [2 0 R] /Count 9 >>",
    )


def cyclic_form_pdf() -> bytes:
    """Return a page that draws a form that draws itself, twice."""
    form = stream(
        b"/F Do /F Do", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 4 0 R >> >>"
    )
    drawn = b"/Contents 5 0 R /Resources << /XObject << /F 4 0 R >> >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] %b >>" % drawn
    return raw_pdf(CATALOGUE, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, form, stream(b"/F Do"))


def png(width: int, height: int, rows: bytes) -> bytes:
    """Return a grey image that says it has this size."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows, 1)) + part(b"IEND", b"")


def zip_in_zip(depth: int) -> bytes:
    data = samples()["txt"]
    for level in range(depth):
        data = zipped({f"{level}.zip" if level else "note.txt": data})
    return data


def mail_in_mail(depth: int) -> bytes:
    mail = EmailMessage()
    mail["Subject"] = "au fond"
    mail.set_content("été")
    data = mail.as_bytes()
    for level in range(depth):
        border = f"=={level}=="
        data = (
            (
                f'Subject: niveau {level}\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{border}"\n\n'
                f"--{border}\nContent-Type: message/rfc822\n\n"
            ).encode()
            + data
            + f"\n--{border}--\n".encode()
        )
    return data


def odd_tar() -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        for name, kind, link in (
            ("a", tarfile.SYMTYPE, "b"),
            ("b", tarfile.SYMTYPE, "a"),
            ("passwd.txt", tarfile.SYMTYPE, "/etc/passwd"),
            ("group.txt", tarfile.LNKTYPE, "../../../etc/group"),
            ("null.txt", tarfile.CHRTYPE, ""),
            ("pipe.txt", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.devmajor, member.devminor = kind, link, 1, 3
            archive.addfile(member)
        for name in ("../../évadé.txt", "/etc/évadé.txt"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"note"))
    return into.getvalue()


def paragraphs(count: int) -> bytes:
    return patched(
        docx(), "word/document.xml", lambda xml: xml.replace(b"<w:body>", b"<w:body>" + b"<w:p/>" * count, 1)
    )


def nested_tables(depth: int) -> bytes:
    begin, end = b"<w:tbl><w:tr><w:tc>", b"<w:p/></w:tc></w:tr></w:tbl>"
    return patched(
        docx(), "word/document.xml", lambda xml: xml.replace(b"<w:body>", b"<w:body>" + begin * depth + end * depth, 1)
    )
