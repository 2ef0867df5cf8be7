"""Mails: who wrote to whom and when, what they wrote, and each attachment like a document of its own."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from email.generator import BytesGenerator
from email.message import Message
from pathlib import Path

from ragline.errors import ParseFailed
from ragline.pipelines.parse import inner, read
from ragline.pipelines.parse_types import HTML, SUPPORTED
from ragline.pipelines.readers.archives.inside import label, temporary
from ragline.pipelines.readers.mail.body import event, is_stub, unflowed, unsigned
from ragline.pipelines.readers.mail.headers import about, charset_of, cited, filename, head, header, in_line
from ragline.pipelines.readers.text.plain import decode, paragraphs
from ragline.pipelines.reading import Reading
from ragline.types import Element

ENCRYPTED = "is an encrypted mail; save it decrypted"
OPAQUE = "is a signed mail whose text is packed into the signature (smime.p7m); save it without the signature"

_SIGNATURES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"})
_MAILS = frozenset({"message/rfc822", "message/global", "message/news"})
_PGP_MESSAGE = "-----BEGIN PGP MESSAGE-----"
_LABEL_CHARS = 120


@dataclass(slots=True)
class Found:
    """The parts of a mail by what is to be done with them. `left_out` are sentences for the user."""

    texts: list[Message] = field(default_factory=list)
    attachments: list[Message] = field(default_factory=list)
    images: list[Message] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, other: Found, *, texts: Sequence[Message]) -> None:
        self.texts += texts
        self.attachments += other.attachments
        self.images += other.images
        self.left_out += other.left_out


def mail(reading: Reading) -> Iterator[Element]:
    """Yield the headers as one element, then the text, then the attachments.

    Raises ParseFailed for an encrypted mail. Pictures that are shown within the text are left out.
    """
    with reading.path.open("rb") as file:
        message: Message = email.message_from_binary_file(file, policy=email.policy.compat32)
    yield from elements(reading, message)


def elements(reading: Reading, message: Message) -> Iterator[Element]:
    """Yield a mail as `mail` does."""
    if (sealed := _sealed(message)) is not None:
        raise ParseFailed(sealed)
    found = Found()
    _sort(message, found)
    texts = [(part, _text(part)) for part in found.texts]
    if texts and not found.attachments and all(text.lstrip().startswith(_PGP_MESSAGE) for _, text in texts):
        raise ParseFailed(ENCRYPTED)
    shown = " ".join(text for _, text in texts)
    found.attachments += [each for each in found.images if not _is_shown(each, shown)]
    reading.about.update(about(message))
    for sentence in found.left_out:
        reading.note(sentence)
    names = [_name(part, number) for number, part in enumerate(found.attachments, start=1)]
    yield Element("\n".join(filter(None, (head(message), cited(names)))))
    for part, text in texts:
        yield from _body(reading, part, text)
    for part, name in zip(found.attachments, names, strict=True):
        with temporary() as path:
            _write(reading, part, path)
            yield from inner(reading, path, name)


def mail_label(subject: str, number: int) -> str:
    """Return how a mail inside a file is called."""
    return label(subject.replace("/", "-")[:_LABEL_CHARS], f"mail {number}") + ".eml"


def markup(reading: Reading, text: str) -> Iterator[Element]:
    """Yield the HTML of a mail, by the reader of web pages."""
    with temporary() as path:
        # The mark says that it is UTF-8 now, whatever it says of itself.
        path.write_bytes(b"\xef\xbb\xbf" + text.encode("utf-8", "replace"))
        page = replace(reading, path=path, content_type=HTML, part=None, about={})
        page.budget = reading.budget
        yield from read(page)


def _sealed(part: Message) -> str | None:
    """Return why a part cannot be opened, None for one that can."""
    match part.get_content_type():
        case "multipart/encrypted" | "application/pgp-encrypted":
            return ENCRYPTED
        case "application/pkcs7-mime" | "application/x-pkcs7-mime":
            return OPAQUE if "signed" in str(part.get_param("smime-type", "")).lower() else ENCRYPTED
    return None


def _sort(part: Message, found: Found, *, related: bool = False) -> None:
    """Sort a part and everything in it into `found`."""
    kind = part.get_content_type()
    if (sealed := _sealed(part)) is not None:
        found.left_out.append(f"a part of it {sealed}")
    elif kind in _SIGNATURES:
        return
    elif kind == "message/external-body":
        found.left_out.append("an attachment lies elsewhere and was not fetched")
    elif kind in _MAILS or (part.get_content_maintype() not in ("multipart", "message") and _is_attached(part)):
        is_image = part.get_content_maintype() == "image" and part.get_content_disposition() != "attachment"
        if is_image and related:
            return
        (found.images if is_image else found.attachments).append(part)
    elif not part.is_multipart() or part.get_content_maintype() == "message":
        found.texts.append(part)
    elif kind == "multipart/alternative":
        _choose([each for each in part.get_payload() if isinstance(each, Message)], found)
    else:
        for each in part.get_payload():
            if isinstance(each, Message):
                _sort(each, found, related=related or kind == "multipart/related")


def _choose(children: Sequence[Message], found: Found) -> None:
    """Of the same text in several formats take the plain one, or the HTML where that only stands in; and all files."""
    sorted_: list[Found] = []
    for child in children:
        sorted_.append(Found())
        _sort(child, sorted_[-1])
    of_html = [each for each in sorted_ if any(_is_html(text) for text in each.texts)]
    of_plain = [each for each in sorted_ if each not in of_html and any(map(_is_plain, each.texts))]
    others = [each for each in sorted_ if any(not _is_event(text) for text in each.texts)]
    chosen = of_plain or of_html or others
    if of_plain and of_html:
        plain, html = ("".join(_text(text) for text in each[-1].texts) for each in (of_plain, of_html))
        chosen = of_html if is_stub(plain, html) else of_plain
    for each in sorted_:
        events = [text for text in each.texts if _is_event(text)]
        found.add(each, texts=each.texts if chosen and each is chosen[-1] else events)


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or not _is_text(part) or bool(filename(part))


def _is_text(part: Message) -> bool:
    return part.get_content_maintype() == "text"


def _is_html(part: Message) -> bool:
    return part.get_content_type() in ("text/html", "application/xhtml+xml")


def _is_plain(part: Message) -> bool:
    return part.get_content_type() == "text/plain"


def _is_event(part: Message) -> bool:
    return part.get_content_type() == "text/calendar"


def _is_shown(image: Message, text: str) -> bool:
    """Tell whether a picture is shown within the text by its Content-ID."""
    return bool(cid := str(image.get("Content-ID", "")).strip(" <>")) and f"cid:{cid}" in text


def _text(part: Message) -> str:
    if part.is_multipart():  # a report on the delivery: blocks of headers
        blocks = [each for each in part.get_payload() if isinstance(each, Message)]
        return "\n\n".join("\n".join(f"{name}: {in_line(str(value))}" for name, value in b.raw_items()) for b in blocks)
    text = decode(_bytes(part), charset_of(part)).replace("\r\n", "\n").replace("\r", "\n")
    if str(part.get_param("format", "")).lower() == "flowed" and not _is_html(part):
        return unflowed(text, delsp=str(part.get_param("delsp", "")).lower() == "yes")
    return text


def _bytes(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _body(reading: Reading, part: Message, text: str) -> Iterator[Element]:
    if _is_html(part):
        yield from markup(reading, text)
    elif _is_event(part):
        yield from paragraphs("\n".join(event(text)))
    elif text.lstrip().startswith(_PGP_MESSAGE):
        reading.note("a part of its text is encrypted with PGP and was not read")
    else:
        yield from paragraphs(unsigned(text))


def _name(part: Message, number: int) -> str:
    if part.get_content_type() in _MAILS:
        inside = _mail_in(part)
        return mail_label(header(inside, "Subject") if inside is not None else "", number)
    suffix = next((suffix for suffix, kind in SUPPORTED.items() if kind == part.get_content_type()), "")
    return label(filename(part).replace("/", "-"), f"attachment {number}{suffix}")


def _mail_in(part: Message) -> Message | None:
    """Return the mail that a part holds, also where it was encoded as no mail should be; None for other parts."""
    payload = part.get_payload() if part.get_content_type() in _MAILS else None
    first = payload[0] if isinstance(payload, list) and payload else None
    if not isinstance(first, Message):
        return None
    if not first.keys() and str(part.get("Content-Transfer-Encoding", "")).strip().lower() == "base64":
        first["Content-Transfer-Encoding"] = "base64"
        return email.message_from_bytes(_bytes(first), policy=email.policy.compat32)
    return first


def _write(reading: Reading, part: Message, path: Path) -> None:
    """Write an attachment out. Raises OverLimit."""
    if (inside := _mail_in(part)) is not None:
        with path.open("wb") as file:
            BytesGenerator(file, mangle_from_=False, policy=_AsItCame()).flatten(inside)
        reading.budget.take_bytes(path.stat().st_size)
        return
    data = _bytes(part)
    reading.budget.take_bytes(len(data))
    path.write_bytes(data)


class _AsItCame(email.policy.Compat32):
    """Headers are written as they were read: to fold them anew takes time in the square of their length."""

    def fold_binary(self, name: str, value: str) -> bytes:
        return f"{name}: {value}{self.linesep}".encode("utf-8", "surrogateescape")
