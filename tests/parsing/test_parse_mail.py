"""Mails as people send them: their headers, their text once, and every attachment."""

from __future__ import annotations

import io
import time
import zipfile
from base64 import encodebytes
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any

import pytest

from ragline.errors import ParseFailed
from ragline.pipelines.parse import content_type_of, parse
from ragline.pipelines.readers.mail.body import is_stub, unflowed
from ragline.pipelines.reading import Options
from ragline.types import Parsed

Read = Callable[..., Parsed]

NOTE = "La pompe Zéphyr est garantie 27 mois."


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_bytes(data: bytes | Message, name: str = "a.eml", **options: Any) -> Parsed:
        path = tmp_path / "bytes"
        path.write_bytes(data if isinstance(data, bytes) else data.as_bytes())
        with path.open("rb") as file:
            content_type = content_type_of(name, file)
        return parse(path, name, content_type, options=replace(Options(), **options))

    return read_bytes


def mail(
    subject: str = "Réunion à 14 h", text: str | None = "Bonjour Paul,\n\nla réunion est avancée.\n"
) -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = subject
    made["From"] = "Zoé Lefèvre <zoe@example.org>"
    made["To"] = "paul@example.org, Éric <eric@example.org>"
    made["Cc"] = "Anaïs <anais@example.org>"
    made["Date"] = "Mon, 02 Nov 2026 10:00:00 +0100"
    if text is not None:
        made.set_content(text)
    return made


def texts(parsed: Parsed, member: str = "") -> list[str]:
    """Return what a mail or one of its files says below its headers."""
    found = [each.text for each in parsed.elements if each.member == member and each.kind != "title"]
    return found[1:] if not member else found


def test_headers_come_first_and_are_noted(read: Read) -> None:
    parsed = read(mail())
    assert [(each.kind, each.text) for each in parsed.elements] == [
        (
            "text",
            "Subject: Réunion à 14 h\nFrom: Zoé Lefèvre <zoe@example.org>\n"
            "To: paul@example.org, Éric <eric@example.org>\nCc: Anaïs <anais@example.org>\n"
            "Date: Mon, 02 Nov 2026 10:00:00 +0100",
        ),
        ("text", "Bonjour Paul,"),
        ("text", "la réunion est avancée."),
    ]
    assert parsed.about == {
        "subject": "Réunion à 14 h",
        "from": "Zoé Lefèvre <zoe@example.org>",
        "to": "paul@example.org, Éric <eric@example.org>",
        "cc": "Anaïs <anais@example.org>",
        "date": "2026-11-02T10:00:00+01:00",
    }


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param(b"=?utf-8?Q?R=C3=A9union?=", "Réunion", id="quoted"),
        pytest.param(b"=?UTF-8?B?UsOpdW5pb24=?=", "Réunion", id="base64"),
        pytest.param(b"=?UTF-8?B?UsOpdW5pb24?=", "Réunion", id="unpadded"),
        pytest.param(b"=?utf-8?B?UsM=?=\r\n =?utf-8?B?qXVuaW9u?=", "Réunion", id="split-in-a-letter"),
        pytest.param(b"=?iso-8859-1?Q?R=E9union?= =?utf-8?Q?_=C3=A0?= Orl", "Réunion à Orl", id="two-charsets"),
        pytest.param(b"=?windows-1252?Q?=80_10_=96_20?=", "€ 10 – 20", id="cp1252"),
        pytest.param(b"=?iso-8859-1?Q?=80_10?=", "€ 10", id="cp1252-called-latin-1"),
        pytest.param("Réunion à Orléans".encode(), "Réunion à Orléans", id="raw-utf-8"),
        pytest.param("Réunion à Orléans".encode("cp1252"), "Réunion à Orléans", id="raw-cp1252"),
        pytest.param(b"=?nonsense?Q?R=C3=A9union?=", "Réunion", id="unknown-charset"),
        pytest.param(b"=?utf-8?B?A?= Paris", "=?utf-8?B?A?= Paris", id="damaged"),
        pytest.param(b"=?utf-8?Q?R=C3", "=?utf-8?Q?R=C3", id="cut-off"),
        pytest.param(b"=?punycode?Q?abc?=", "abc", id="no-charset-of-mails"),
    ],
)
def test_subjects_are_decoded_also_damaged_ones(read: Read, raw: bytes, shown: str) -> None:
    parsed = read(b"From: a@example.org\r\nSubject: " + raw + b"\r\n\r\nBonjour\r\n")
    assert parsed.about["subject"] == shown


@pytest.mark.parametrize(
    ("charset", "declared"),
    [("cp1252", "iso-8859-1"), ("cp1252", ""), ("utf-8", ""), ("utf-8", "us-ascii"), ("iso-8859-15", "iso-8859-15")],
)
def test_the_text_is_decoded_as_declared_or_as_it_looks(read: Read, charset: str, declared: str) -> None:
    text = "L'été, à Orléans, ça coûte 10 € de l'heure."
    head = b"From: a@example.org\nSubject: x\nContent-Type: text/plain"
    head += f"; charset={declared}".encode() if declared else b""
    assert texts(read(head + b"\n\n" + text.encode(charset))) == [text]


def test_the_plain_text_is_taken_once(read: Read) -> None:
    made = mail()
    made.add_alternative("<p>Bonjour Paul,</p><p>la réunion est <b>avancée</b>.</p>", subtype="html")
    assert texts(read(made)) == ["Bonjour Paul,", "la réunion est avancée."]


def test_of_a_mail_in_html_alone_the_html_is_read(read: Read) -> None:
    made = mail(text=None)
    made.set_content("<h1>Réunion</h1><p>Elle est avancée à l'été.</p>", subtype="html", charset="iso-8859-1")
    parsed = read(made)
    assert [(each.kind, each.text) for each in parsed.elements[1:]] == [
        ("title", "Réunion"),
        ("text", "Elle est avancée à l'été."),
    ]


@pytest.mark.parametrize("stub", ["", " \n", "Votre logiciel n'affiche pas le HTML."])
def test_a_plain_text_that_only_stands_in_is_left_for_the_html(read: Read, stub: str) -> None:
    made = mail(text=stub)
    made.add_alternative(f"<p>{NOTE * 10}</p>", subtype="html")
    assert texts(read(made)) == [NOTE * 10]


def test_a_short_mail_is_no_stub() -> None:
    assert not is_stub("Oui, à demain.", "<p>Oui, à demain.</p>")
    assert not is_stub("x" * 500, "<p>" + "y" * 9000)
    assert is_stub("", "<p>Oui</p>")
    assert is_stub("Texte en HTML", "<p>" + "y" * 900)


def test_a_flowing_text_has_its_own_lines_again() -> None:
    sent = "Bonjour, \nla réunion \nest avancée.\n>> Elle est \n>> reculée ?\n> Oui \nNon\n-- \nZoé"
    assert unflowed(sent, delsp=False) == (
        "Bonjour, la réunion est avancée.\n>> Elle est reculée ?\n> Oui \nNon\n-- \nZoé"
    )
    assert unflowed("avan \ncée", delsp=True) == "avancée"


def test_a_flow_without_end_takes_no_long_time() -> None:
    started = time.process_time()
    assert len(unflowed("a \n" * 400_000, delsp=False)) == 800_000
    assert time.process_time() - started < 5


def test_quoted_replies_and_signatures_stay(read: Read) -> None:
    text = "Oui.\n\nLe lundi, Paul a écrit :\n> À 14 h ?\n> Ou à 15 h ?\n\n-- \nZoé Lefèvre\nOrléans\n"
    assert texts(read(mail(text=text)))[1:] == [
        "Le lundi, Paul a écrit :\n> À 14 h ?\n> Ou à 15 h ?",
        "-- \nZoé Lefèvre\nOrléans",
    ]


def test_attachments_are_read_as_children(read: Read) -> None:
    made = mail()
    made.add_attachment(
        f"# Garantie\n\n{NOTE}".encode(), maintype="text", subtype="markdown", filename="été à Orléans.md"
    )
    made.add_attachment(b"\x00\x01\x02" * 99, maintype="application", subtype="octet-stream", filename="plan.bin")
    parsed = read(made)
    assert parsed.elements[0].text.endswith("\nAttachments: été à Orléans.md, plan.bin")
    assert [(each.kind, each.level, each.text) for each in parsed.elements if each.member] == [
        ("title", 1, "été à Orléans.md"),
        ("title", 2, "Garantie"),
        ("text", 0, NOTE),
    ]
    assert len(parsed.notes) == 1
    assert "plan.bin" in parsed.notes[0]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        pytest.param(b'attachment; filename="=?utf-8?B?w6l0w6kudHh0?="', "été.txt", id="encoded-word"),
        pytest.param(b"attachment; filename*=utf-8''%C3%A9t%C3%A9.txt", "été.txt", id="rfc-2231"),
        pytest.param(b"attachment; filename*0*=utf-8''%C3%A9t; filename*1*=%C3%A9.txt", "été.txt", id="in-pieces"),
        pytest.param('attachment; filename="été.txt"'.encode(), "été.txt", id="raw"),
        pytest.param('attachment; filename="été.txt"'.encode("cp1252"), "été.txt", id="raw-cp1252"),
        pytest.param(b'attachment; filename="../../etc/passwd"', "..-..-etc-passwd", id="path"),
        pytest.param(b"attachment", "attachment 1.txt", id="nameless"),
    ],
)
def test_names_of_attachments_are_decoded(read: Read, disposition: bytes, name: str) -> None:
    data = (
        b"From: a@example.org\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nBonjour\n--b\n"
        b"Content-Type: text/plain\nContent-Disposition: " + disposition + b"\n\n" + NOTE.encode() + b"\n--b--\n"
    )
    assert texts(read(data), name) == [NOTE]


def test_an_archive_and_a_forwarded_mail_inside_a_mail(read: Read) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("notice.txt", NOTE)
    forwarded = mail("Re: l'été", "Voici la notice.\n")
    forwarded.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="notices.zip")
    made = mail("Tr: l'été")
    made.add_attachment(forwarded)
    parsed = read(made)
    inside = "Re: l'été.eml/notices.zip/notice.txt"
    assert [each.text for each in parsed.elements if each.member == inside] == ["notice.txt", NOTE]
    assert "Voici la notice." in texts(parsed, "Re: l'été.eml")
    assert parsed.about["subject"] == "Tr: l'été"


def test_a_forwarded_mail_that_was_encoded_is_read(read: Read) -> None:
    data = (
        b"From: a@example.org\nSubject: Tr\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nVoici\n--b\n"
        b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
    )
    data += encodebytes(mail().as_bytes()) + b"\n--b--\n"
    assert texts(read(data), "Réunion à 14 h.eml")[1:] == ["Bonjour Paul,", "la réunion est avancée."]


def test_a_digest_has_its_mails_as_children(read: Read) -> None:
    data = b"From: a@example.org\nSubject: Digest\nContent-Type: multipart/digest; boundary=b\n\n"
    for subject in ("un", "deux"):
        data += f"--b\n\nFrom: b@example.org\nSubject: {subject}\n\nTexte {subject}\n".encode()
    parsed = read(data + b"--b--\n")
    assert texts(parsed, "un.eml")[1:] == ["Texte un"]
    assert texts(parsed, "deux.eml")[1:] == ["Texte deux"]


def test_pictures_within_the_text_are_left_out_and_attached_ones_are_not(read: Read) -> None:
    outer, related = MIMEMultipart("mixed"), MIMEMultipart("related")
    outer["From"], outer["Subject"] = "a@example.org", "Logo"
    related.attach(MIMEText('<p>Bonjour</p><img src="cid:logo">', "html"))
    for name, cid, place in (("logo.png", "<logo>", related), ("scan.png", "", outer)):
        image = Message()
        image["Content-Type"] = "image/png"
        image["Content-Disposition"] = f'inline; filename="{name}"'
        if cid:
            image["Content-ID"] = cid
        image.set_payload("not a picture")
        place.attach(image)
    outer.attach(related)
    assert read(outer).elements[0].text.endswith("Attachments: scan.png")


def test_an_invitation_says_when_and_where(read: Read) -> None:
    made = mail(text=" ")
    event = (
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY;LANGUAGE=fr:Réunion\\, l'été\r\nDTSTART:20261102T140000Z\r\n"
        "LOCATION:Salle Zé\r\n phyr\r\nUID:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    made.add_alternative(event, subtype="calendar")
    assert texts(read(made)) == ["Summary: Réunion, l'été\nDtstart: 20261102T140000Z\nLocation: Salle Zéphyr"]


def test_a_signed_mail_is_read_without_its_signature(read: Read) -> None:
    made = MIMEMultipart("signed", protocol="application/pkcs7-signature")
    made["From"], made["Subject"] = "a@example.org", "Signé"
    made.attach(MIMEText(NOTE, "plain", "utf-8"))
    signature = Message()
    signature["Content-Type"] = 'application/pkcs7-signature; name="smime.p7s"'
    signature.set_payload("MIIB")
    made.attach(signature)
    parsed = read(made)
    assert texts(parsed) == [NOTE]
    assert parsed.notes == []


def test_a_text_signed_by_pgp_is_read_without_its_frame(read: Read) -> None:
    text = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
        f"{NOTE}\n-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n"
    )
    assert texts(read(mail(text=text))) == [NOTE]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(
            b"Subject: x\nFrom: a@b\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIIB\n",
            "'a.eml' is an encrypted mail; save it decrypted",
            id="smime",
        ),
        pytest.param(
            b"Subject: x\nFrom: a@b\nContent-Type: application/x-pkcs7-mime; smime-type=signed-data\n\nMIIB\n",
            "'a.eml' is a signed mail whose text is packed into the signature (smime.p7m); "
            "save it without the signature",
            id="smime-opaque",
        ),
        pytest.param(
            b"Subject: x\nFrom: a@b\n\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n",
            "'a.eml' is an encrypted mail; save it decrypted",
            id="pgp-in-the-text",
        ),
    ],
)
def test_what_is_sealed_says_so(read: Read, data: bytes, said: str) -> None:
    with pytest.raises(ParseFailed) as caught:
        read(data)
    assert str(caught.value) == said


def test_a_sealed_mail_inside_another_is_noted(read: Read) -> None:
    made = mail()
    sealed = EmailMessage()
    sealed["Subject"], sealed["From"] = "secret", "a@example.org"
    sealed["Content-Type"] = "application/pkcs7-mime; smime-type=enveloped-data"
    sealed.set_payload("MIIB")
    made.add_attachment(sealed)
    parsed = read(made)
    assert texts(parsed) == ["Bonjour Paul,", "la réunion est avancée."]
    assert parsed.notes == ["secret.eml: is an encrypted mail; save it decrypted"]


def test_winmail_dat_is_noted(read: Read) -> None:
    made = mail()
    data = b"\x78\x9f\x3e\x22" + bytes(60)
    made.add_attachment(data, maintype="application", subtype="ms-tnef", filename="winmail.dat")
    parsed = read(made)
    assert len(parsed.notes) == 1
    assert "winmail.dat" in parsed.notes[0]


def test_a_report_of_the_delivery_is_read(read: Read) -> None:
    data = (
        b"From: mailer@example.org\nSubject: Retour\nContent-Type: multipart/report; boundary=b\n\n--b\n\nRefuse\n--b\n"
        b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\n"
        b"Final-Recipient: rfc822; paul@example.org\nStatus: 5.1.1\n\n--b--\n"
    )
    assert texts(read(data)) == [
        "Refuse",
        "Reporting-MTA: dns; mx.example.org",
        "Final-Recipient: rfc822; paul@example.org\nStatus: 5.1.1",
    ]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"Subject: x\nFrom: a@b\nContent-Type: multipart/mixed\n\nBonjour\n", id="no-boundary"),
        pytest.param(b"Subject: x\nFrom: a@b\nContent-Type: multipart/mixed; boundary=b\n\nBonjour\n", id="no-parts"),
        pytest.param(b"Subject: x\nFrom: a@b\nContent-Type: nonsense\n\nBonjour\n", id="no-type"),
        pytest.param(b"Subject: x\nFrom: a@b\nContent-Transfer-Encoding: magic\n\nBonjour\n", id="no-encoding"),
        pytest.param(b"Subject: x\nFrom: a@b\nDate: hier\nTo: <<>>,;:\n\nBonjour\n", id="no-date"),
        pytest.param(
            b"Subject: x\nFrom: a@b\nContent-Type: text/plain; charset*=x'y'%ZZ\n\nBonjour\n", id="no-charset"
        ),
    ],
)
def test_damaged_mails_keep_their_text(read: Read, data: bytes) -> None:
    assert "Bonjour" in "\n".join(each.text for each in read(data).elements)


def test_deep_and_wide_mails_end(read: Read) -> None:
    nested = b"From: a@b\nSubject: fond\n\nBonjour\n"
    for depth in range(60):
        head = f"From: a@b\nSubject: niveau {depth}\nContent-Type: multipart/mixed; boundary=b{depth}\n\n"
        nested = f"{head}--b{depth}\nContent-Type: message/rfc822\n\n".encode() + nested + f"\n--b{depth}--\n".encode()
    parsed = read(nested)
    assert any("lies more than 3 files deep" in note for note in parsed.notes)
    wide = b"From: a@b\nSubject: =?utf-8?q?" + b"=C3=A9" * 100_000 + b"?=\n\nBonjour\n" + b"<" * 2_000_000
    assert read(wide).about["from"] == "a@b"


def test_the_attachments_of_one_mail_are_counted(read: Read) -> None:
    made = mail()
    for number in range(5):
        made.add_attachment(NOTE.encode(), maintype="text", subtype="plain", filename=f"{number}.txt")
    assert len(read(made, max_members=5).notes) == 0
    with pytest.raises(ParseFailed, match="holds more than 4 files"):
        read(made, max_members=4)
    with pytest.raises(ParseFailed, match="unpacks to more than 0 MiB"):
        read(made, max_unpacked_bytes=100)


def test_a_mailbox_is_read_mail_by_mail(read: Read) -> None:
    box = b""
    for number in (1, 2):
        made = mail(f"Été {number}", f"Texte {number}\nFrom Paris, à vous.\n")
        box += b"From zoe@example.org Mon Nov  2 10:00:00 2026\n"
        box += made.as_bytes().replace(b"\nFrom Paris", b"\n>From Paris") + b"\n"
    parsed = read(box, "archives.mbox")
    for number in (1, 2):
        assert texts(parsed, f"Été {number}.eml")[1:] == [f"Texte {number}\nFrom Paris, à vous."]
