"""Binary files known by how they begin: images, and what no parser reads."""

from __future__ import annotations

import re

_SAVE = "save it as PNG or JPEG"
_KINDS: tuple[tuple[bytes, str | None, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "image/png", ""),
    (rb"\xff\xd8\xff", "image/jpeg", ""),
    (rb"GIF8[79]a", "image/gif", ""),
    (rb"II[*+]\x00|MM\x00[*+]", "image/tiff", ""),
    (rb"RIFF.{4}WEBP", "image/webp", ""),
    (rb"BM.{4}\x00{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00{3}", "image/bmp", ""),
    (rb".{4}ftyp(?:hei[cfmsx]|hev[cx]|mif1|msf1)", None, f"a HEIC photo ({_SAVE})"),
    (rb".{4}ftypavi[fs]", None, f"an AVIF image ({_SAVE})"),
    (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", None, f"a JPEG 2000 image ({_SAVE})"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", None, f"a JPEG XL image ({_SAVE})"),
    (rb"\x00\x00\x01\x00[^\x00]\x00", None, "an icon"),
    (rb"8BPS", None, f"a Photoshop image ({_SAVE})"),
    (rb"gimp xcf", None, f"a GIMP image ({_SAVE})"),
    (rb"AT&TFORM", None, "a DjVu document (save it as PDF)"),
    (rb"\xc5\xd0\xd3\xc6", None, "a PostScript file (save it as PDF)"),
    (rb".{4}ftyp", None, "a video or a sound"),
    (rb"RIFF.{4}(?:AVI |WAVE)", None, "a video or a sound"),
    (rb"ID3[\x02-\x04]|OggS|fLaC|\x1aE\xdf\xa3|FLV\x01|MThd|\x00\x00\x01\xba|#!AMR", None, "a video or a sound"),
    (rb"0&\xb2u\x8ef\xcf\x11", None, "a video or a sound"),
    (rb"\xff[\xf1\xf2\xf3\xf9\xfa\xfb][^\x00\x09\x0a\x0d\x20-\x7e]", None, "a sound"),
    (rb"7z\xbc\xaf\x27\x1c", None, "a 7z archive (pack it as .zip)"),
    (rb"Rar!\x1a\x07", None, "a RAR archive (pack it as .zip)"),
    (rb"\x28\xb5\x2f\xfd", None, "a file compressed by Zstandard (pack it as .zip)"),
    (rb"\x04\x22\x4d\x18|\x1f[\x9d\xa0]|LZIP", None, "a compressed file (pack it as .zip)"),
    (rb"MSCF\x00|!<arch>\n|\xed\xab\xee\xdb|xar!|070701|ISc\(", None, "a package of software"),
    (rb"\x7fELF|MZ|\xca\xfe\xba\xbe|[\xce\xcf]\xfa\xed\xfe|\xfe\xed\xfa[\xce\xcf]", None, "a program"),
    (rb"\x00asm|dex\n03|\x1bLua|.{2}\x0d\x0a.{12}\xe3\x00", None, "a program"),
    (rb"SQLite format 3\x00|\x00\x01\x00\x00Standard (?:Jet|ACE) DB", None, "a database (export its tables as .csv)"),
    (rb"PAR1|\x89HDF\r\n|ARROW1|Obj\x01|ORC", None, "a file of data in columns (export it as .csv)"),
    (rb"!BDN", None, "a mailbox of Outlook (save its mails as .msg or .eml)"),
    (rb"x\x9f\x3e\x22", None, "an attachment of Outlook (winmail.dat), which only Outlook opens"),
    (rb"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", None, "a notebook of OneNote (save it as PDF)"),
    (rb"\xffWPC", None, "a document of WordPerfect (save it as .docx)"),
    (rb"\xdb\xa5|\x31\xbe\x00\x00|\x9b\xa5", None, "a document of Word before version 6 (save it as .docx)"),
    (rb"\x09[\x00\x02\x04][\x04\x06\x08]\x00", None, "a workbook of Excel before version 5 (save it as .xlsx)"),
    (rb"BOOKMOBI|.{60}BOOKMOBI|TPZ", None, "a Kindle book (save it as .epub)"),
    (rb"ITSF", None, "a help file of Windows (save it as HTML)"),
    (rb"OTTO\x00|\x00\x01\x00\x00\x00|wOF[F2]|true\x00|ttcf", None, "a font"),
    (rb"bplist00", None, "a binary property list of Apple"),
    (rb"Salted__", None, "encrypted (decrypt it first)"),
)
_ANY = re.compile(b"|".join(b"(" + start + b")" for start, _, _ in _KINDS), re.DOTALL)
_TEXTS = (
    (b"%!PS", "a PostScript file (save it as PDF)"),
    (b"-----BEGIN PGP MESSAGE-----", "encrypted by PGP (decrypt it first)"),
    (b"age-encryption.org/", "encrypted (decrypt it first)"),
)


def binary_kind(head: bytes) -> tuple[str | None, str]:
    """Return the type of an image, or None and what else the bytes are."""
    found = _ANY.match(head)
    if found is None or found.lastindex is None:
        return None, "unknown binary data"
    _, kind, seen = _KINDS[found.lastindex - 1]
    return kind, seen


def unreadable_text(head: bytes) -> str | None:
    """Return what a text is that says nothing to a reader, None for any other."""
    start = head[:64].lstrip()
    return next((seen for magic, seen in _TEXTS if start.startswith(magic)), None)
