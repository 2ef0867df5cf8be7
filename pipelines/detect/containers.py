"""Files that hold others: which kind of document a zip, an OLE container or something compressed is."""

from __future__ import annotations

import bz2
import io
import logging
import lzma
import re
import tarfile
import zipfile
import zlib
from typing import BinaryIO

from ragline.pipelines.parse_types import (
    DOC,
    DOCX,
    EPUB,
    GZIP,
    MSG,
    ODP,
    ODS,
    ODT,
    OFFICE,
    OLE,
    PPT,
    PPTX,
    TAR,
    XLS,
    XLSX,
    ZIP,
    ZIPPED,
)

log = logging.getLogger(__name__)

_MAX_READ = 3 << 19
"""Bytes of a container that are looked at: a document's list of members is far below, an archive's may be above."""
_MAX_READS = 20_000
_MAX_TYPES = 1 << 20
_LZMA_BYTES = 128 << 20

_OPEN_DOCUMENT = re.compile(rb"application/vnd\.oasis\.opendocument\.(text|spreadsheet|presentation)(?![a-z])")
_OPEN = {b"text": ODT, b"spreadsheet": ODS, b"presentation": ODP}
_OFFICE_MAIN = (
    (re.compile(rb"wordprocessingml\.(?:document|template)\.main\+xml|ms-word\.\w+\.macroEnabled\w*\.main\+xml"), DOCX),
    (
        re.compile(
            rb"spreadsheetml\.(?:sheet|template)\.main\+xml|ms-excel\.(?:sheet|template|addin)\.macroEnabled\.main\+xml"
        ),
        XLSX,
    ),
    (
        re.compile(
            rb"presentationml\.(?:presentation|slideshow|template)\.main\+xml"
            rb"|ms-powerpoint\.\w+\.macroEnabled\.main\+xml"
        ),
        PPTX,
    ),
)
_OFFICE_PARTS = {"word/document.xml": DOCX, "xl/workbook.xml": XLSX, "ppt/presentation.xml": PPTX}
_OTHER_ZIPS = (
    (re.compile(r"xl/workbook\.bin$"), "a binary workbook of Excel, .xlsb (save it as .xlsx)"),
    (re.compile(r"visio/document\.xml$"), "a drawing of Visio (save it as PDF)"),
    (re.compile(r"Index/Document\.iwa$|Index\.zip$|index\.apxl(?:\.gz)?$"), "an iWork document (save it as PDF)"),
    (re.compile(r"AndroidManifest\.xml$|META-INF/MANIFEST\.MF$"), "a program"),
    (re.compile(r"Fixed(?:DocSeq|DocumentSequence)\.fdseq$"), "an XPS document (save it as PDF)"),
)
_STREAMS = (
    ("__properties_version1.0", MSG),
    ("WordDocument", DOC),
    ("Workbook", XLS),
    ("Book", XLS),
    ("PowerPoint Document", PPT),
)


class _TooMuch(Exception):
    """More of a container would have to be read than is looked at."""


class _Window(io.RawIOBase):
    """A file of which only so much may be read, however its structure sends the reader around."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes = _MAX_READ
        self._reads = _MAX_READS

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._bytes + 1) if size >= 0 else self._bytes + 1)
        self._reads -= 1
        self._bytes -= len(data)
        if self._bytes < 0 or self._reads < 0:
            raise _TooMuch
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def container_type(head: bytes, wanted: str | None, file: BinaryIO) -> tuple[str | None, str] | None:
    """Return the type of a zip, OLE, tar or compressed file, or None and what it is; None for anything else."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK")):
        return zip_type(head, wanted, file)
    if head.startswith(OLE):
        return ole_type(wanted, file)
    packed = archive_type(head, wanted, file)
    return None if packed is None else (packed, "")


def zip_type(head: bytes, wanted: str | None, file: BinaryIO) -> tuple[str | None, str]:
    """Return the type of a zip file, or None and what it is. A damaged one has the type that its name claims."""
    if head[30:38] == b"mimetype" and (found := _of_mimetype(head[38:150])):
        return found
    try:
        with zipfile.ZipFile(_Window(file)) as archive:
            names = archive.namelist()
            return _of_mimetype(_member(archive, "mimetype")) or _of_parts(archive, names)
    except _TooMuch:
        return ZIP, ""  # a list of members that long is an archive's
    except Exception:  # every damage has an error of its own
        log.info("cannot look into a zip file", exc_info=True)
        return (wanted if wanted in ZIPPED else _of_first_names(head) or ZIP), ""


def _of_mimetype(data: bytes) -> tuple[str | None, str] | None:
    if found := _OPEN_DOCUMENT.match(data):
        return _OPEN[found[1]], ""
    if data.startswith(EPUB.encode()):
        return EPUB, ""
    if data.startswith((b"application/vnd.oasis.opendocument", b"application/vnd.sun.xml")):
        return None, "an OpenDocument drawing, formula or database, or of before 2005 (save it as PDF or .odt)"
    return None


def _of_parts(archive: zipfile.ZipFile, names: list[str]) -> tuple[str | None, str]:
    types = _member(archive, "[Content_Types].xml")
    for pattern, kind in _OFFICE_MAIN:
        if pattern.search(types):
            return kind, ""
    known = set(names)
    for part, kind in _OFFICE_PARTS.items():
        if part in known:
            return kind, ""
    for other, seen in _OTHER_ZIPS:
        if any(other.match(name) for name in names):
            return None, seen
    return ZIP, ""


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the beginning of a member, empty where there is none.

    Only the two methods that documents use are unpacked: zipfile gives no bound to what the others unpack to.
    """
    try:
        if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return b""
        with archive.open(name) as member:
            return member.read(_MAX_TYPES)
    except (KeyError, RuntimeError, NotImplementedError):  # encrypted members and rare compression
        return b""


def _of_first_names(head: bytes) -> str | None:
    """Guess the type of a torn Office document from the names of its first members."""
    for mark, kind in ((b"word/", DOCX), (b"xl/", XLSX), (b"ppt/", PPTX)):
        if b"[Content_Types].xml" in head and mark in head:
            return kind
    return None


def ole_type(wanted: str | None, file: BinaryIO) -> tuple[str | None, str]:
    """Return the type of a file in OLE's container, or None and what it is.

    What is encrypted has the type that its name claims, as has what is damaged or too long to look into.
    """
    import olefile  # type: ignore[import-untyped]  # has no types

    claimed = wanted if wanted in OFFICE else None
    try:
        with olefile.OleFileIO(_Window(file)) as container:
            names = {entry[0] for entry in container.listdir() if len(entry) == 1}
    except Exception:  # hostile files make it fail in many ways
        log.info("cannot look into a file in OLE's container", exc_info=True)
        return claimed, "a damaged Office file from before 2007"
    for stream, kind in _STREAMS:
        if stream in names:
            return kind, ""
    if "EncryptedPackage" in names:
        return (claimed if claimed in ZIPPED else DOCX), ""
    return None, "in a format of Microsoft from before 2007, but no document, workbook, presentation or mail"


def archive_type(head: bytes, wanted: str | None, file: BinaryIO) -> str | None:
    """Return TAR or GZIP for an archive and for what is compressed, None for anything else."""
    if _is_tar(head):
        return TAR
    try:
        if head.startswith(b"\x1f\x8b\x08"):
            start = zlib.decompressobj(31).decompress(head, tarfile.BLOCKSIZE)
        elif re.match(rb"BZh[1-9]1AY&SY", head):
            start = bz2.BZ2Decompressor().decompress(head + file.read(1 << 20), tarfile.BLOCKSIZE)
        elif head.startswith(b"\xfd7zXZ\x00"):
            start = lzma.LZMADecompressor(memlimit=_LZMA_BYTES).decompress(head, tarfile.BLOCKSIZE)
        else:
            return None
    except (zlib.error, OSError, lzma.LZMAError, EOFError):
        return TAR if wanted == TAR else GZIP
    return TAR if _is_tar(start) else GZIP


def _is_tar(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True
