"""Mails saved by Outlook: what Outlook shows, in whichever of its formats the text is, and what is attached."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ragline.errors import ParseFailed
from ragline.pipelines.parse import content_type_of, parse
from ragline.pipelines.parse_types import MSG
from ragline.pipelines.readers.mail.outlook_rtf import decompressed
from ragline.pipelines.reading import Options
from ragline.types import Parsed
from tests.parsing.outlook_file import Folder, container, item

Read = Callable[..., Parsed]

NOTE = "La pompe Zéphyr est garantie 27 mois."
SENT = int((datetime(2026, 11, 2, 9, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
TOP, EMBEDDED, PART = 32, 24, 8


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_folder(folder: Folder, **options: Any) -> Parsed:
        path = tmp_path / "bytes"
        path.write_bytes(container(folder))
        with path.open("rb") as file:
            assert content_type_of("a.msg", file) == MSG
        return parse(path, "a.msg", MSG, options=replace(Options(), **options))

    return read_folder


def mail(header_bytes: int = TOP, subject: str = "Réunion à 14 h", **texts: str | bytes) -> Folder:
    """Return a mail; `texts` are named by their tags, such as x1000 for the plain text."""
    tags: dict[int, str | bytes] = {0x001A: "IPM.Note", 0x0037: subject, 0x0C1A: "Zoé", 0x5D01: "zoe@example.org"}
    tags |= {int(name[1:], 16): text for name, text in texts.items()}
    made = item(header_bytes, tags, {0x0039: SENT})
    for number, (kind, name) in enumerate(((1, "Paul"), (2, "Anaïs"))):
        people = {0x3001: name, 0x39FE: f"{name[0].lower()}@example.org"}
        made[f"__recip_version1.0_#{number:08X}"] = item(PART, people, {0x0C15: kind})
    return made


def attached(name: str, data: bytes | Folder, number: int = 0, **texts: str) -> Folder:
    """Return the folder of an attachment, to be put into a mail."""
    tags: dict[int, str | bytes] = {0x3707: name}
    tags |= {int(tag[1:], 16): text for tag, text in texts.items()}
    inside = item(PART, tags | ({0x3701: data} if isinstance(data, bytes) else {}), {})
    if not isinstance(data, bytes):
        inside["__substg1.0_3701000D"] = data
    return {f"__attach_version1.0_#{number:08X}": inside}


def texts(parsed: Parsed, member: str = "") -> list[str]:
    return [each.text for each in parsed.elements if each.member == member and each.kind != "title"]


def test_headers_text_and_date_are_those_that_outlook_shows(read: Read) -> None:
    parsed = read(mail(x1000=f"Bonjour,\r\n\r\n{NOTE}\r\n"))
    assert texts(parsed) == [
        "Subject: Réunion à 14 h\nFrom: Zoé <zoe@example.org>\nTo: Paul <p@example.org>\nCc: Anaïs <a@example.org>\n"
        "Date: 2026-11-02T09:00:00+00:00",
        "Bonjour,",
        NOTE,
    ]
    assert parsed.about == {
        "subject": "Réunion à 14 h",
        "from": "Zoé <zoe@example.org>",
        "to": "Paul <p@example.org>",
        "cc": "Anaïs <a@example.org>",
        "date": "2026-11-02T09:00:00+00:00",
    }


def test_a_text_in_html_alone_is_read(read: Read) -> None:
    parsed = read(mail(x1013=f"<h1>Garantie</h1><p>{NOTE}</p>".encode()))
    assert [each.text for each in parsed.elements[1:]] == ["Garantie", NOTE]


def test_a_text_in_compressed_rtf_alone_is_read(read: Read) -> None:
    rtf = rb"{\rtf1\ansi\ansicpg1252 La pompe Z\'e9phyr est garantie 27 mois.\par}"
    stored = struct.pack("<LL4sL", len(rtf) + 12, len(rtf), b"MELA", 0) + rtf
    parsed = read(mail(x1009=stored))
    assert NOTE in "\n".join(each.text for each in parsed.elements)


def test_compressed_rtf_is_decompressed() -> None:
    # The two examples of MS-OXRTFCP, sections 3.1.1 and 3.1.2.
    simple = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    assert decompressed(simple) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    crossing = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
    assert decompressed(crossing) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"


def test_attachments_and_mails_in_mails_are_read(read: Read) -> None:
    deepest = mail(EMBEDDED, "Au fond", x1000="Tout au fond.") | attached("été.txt", NOTE.encode())
    inner = mail(EMBEDDED, "Re: l'été", x1000="Voici.") | attached("Au fond", deepest)
    made = mail(x1000="Bonjour") | attached("notice.md", f"# Notice\n\n{NOTE}".encode()) | attached("Re", inner, 1)
    parsed = read(made)
    assert texts(parsed, "notice.md") == [NOTE]
    assert texts(parsed, "Re: l'été.eml")[1:] == ["Voici."]
    assert texts(parsed, "Re: l'été.eml/Au fond.eml")[1:] == ["Tout au fond."]
    assert texts(parsed, "Re: l'été.eml/Au fond.eml/été.txt") == [NOTE]
    assert parsed.notes == []


def test_mails_that_lie_too_deep_are_noted(read: Read) -> None:
    made = mail(EMBEDDED, "fond", x1000="Bonjour")
    for depth in range(20):
        made = mail(EMBEDDED if depth < 19 else TOP, f"niveau {depth}", x1000="Bonjour") | attached(f"{depth}", made)
    parsed = read(made)
    assert len([each for each in parsed.elements if each.text == "Bonjour"]) == 4
    assert any("lies more than 3 files deep" in note for note in parsed.notes)


def test_pictures_in_the_text_are_left_out_and_what_is_not_there_is_noted(read: Read) -> None:
    made = mail(x1000="Bonjour", x1013=b'<p>Bonjour</p><img src="cid:logo@1">')
    made |= attached("logo.png", b"no picture", 0, x370E="image/png", x3712="logo@1") | attached("lien.docx", b"", 1)
    parsed = read(made)
    assert "logo.png" not in parsed.elements[0].text
    assert parsed.notes == ["lien.docx: is empty, not in the mail, or in a format of Outlook's own"]


def test_a_sealed_mail_says_so(read: Read) -> None:
    made = mail(x001A="IPM.Note.SMIME") | attached("smime.p7m", b"\x30\x80")
    with pytest.raises(ParseFailed, match=r"^'a\.msg' is an encrypted mail; save it decrypted$"):
        read(made)


def test_a_mail_signed_in_the_clear_is_read(read: Read) -> None:
    data = (
        "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: 8bit\r\n\r\n{NOTE}\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\n"
        "MIIB\r\n--b--\r\n"
    )
    made = mail(x001A="IPM.Note.SMIME.MultipartSigned")
    parsed = read(made | attached("smime.p7m", data.encode(), 0, x370E="multipart/signed"))
    assert texts(parsed)[1:] == [NOTE]


def test_attachments_are_counted(read: Read) -> None:
    made = mail(x1000="Bonjour")
    for number in range(4):
        made |= attached(f"{number}.txt", NOTE.encode(), number)
    with pytest.raises(ParseFailed, match="holds more than 3 files"):
        read(made, max_members=3)
