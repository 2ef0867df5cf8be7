"""Every observed exchange of the contract, replayed: status, keys, types, order of events."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from reportlab.pdfgen.canvas import Canvas

from tests.conftest import SHARED

from .examples import SPECIAL, TOKENS, Case
from .house import House, detail, events_of, lines_of
from .shapes import differences, stream_differences

FOLDER = SHARED / "contract" / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
ID = re.compile(r"(?!00000000)[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_every_special_case_is_an_example() -> None:
    assert set(SPECIAL) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_client_of_the_example_finds_all_it_reads(name: str, house: House) -> None:
    example = json.loads((FOLDER / f"{name}.json").read_text())
    case, theirs = SPECIAL.get(name, Case()), example["response"]
    answer = replay(example["request"], case, house)
    if case.status is not None and case.status != theirs["status"]:
        assert answer.status_code == case.status, f"{case.why}: {answer.text[:500]}"
        if case.status >= 400:
            detail(answer, case.status)
        return
    assert answer.status_code == theirs["status"], answer.text[:500]
    assert content_type(answer.headers) == content_type(theirs["headers"])
    assert [*found_differences(theirs, answer, case)] == []


def replay(request: Mapping[str, Any], case: Case, house: House) -> httpx.Response:
    """Send the request of an example with the ids, tokens and bytes of this server."""
    real = iter(case.ids(house))
    known: dict[str, str] = {}

    def replaced(text: str) -> str:
        for theirs in ID.findall(text):
            if theirs not in known:
                known[theirs] = next(real)
        return ID.sub(lambda match: known[match[0]], text)

    headers = {key: with_token(value, house) for key, value in request["headers"].items()}
    body = request["body"]
    sent: dict[str, Any] = {}
    path = replaced(request["path"])
    if isinstance(body, dict) and "multipart" in body:
        sent["files"] = {name: uploaded(part) for name, part in body["multipart"].items()}
        sent["data"] = body["form"] or {}
    elif isinstance(body, str):
        sent["content"] = body
    elif body is not None:
        sent["json"] = json.loads(replaced(json.dumps(body)))
    assert house.admin  # examples presuppose that somebody has signed up
    house.nobody.cookies.clear()
    answer = house.nobody.request(request["method"], path, headers=headers, **sent)
    assert next(real, None) is None, "the case makes more than the example names"
    return answer


def with_token(value: str, house: House) -> str:
    return re.sub(r"<\w+>", lambda match: TOKENS[match[0]](house), value)


def uploaded(part: Mapping[str, Any]) -> tuple[str, bytes, str]:
    """Return a file like the one that was sent: only its size and type are known."""
    text = f"Le manuel d'été, {part['filename']}. ".encode()
    content = pdf() if part["type"] == "application/pdf" else (text * (part["bytes"] // len(text) + 1))[: part["bytes"]]
    return part["filename"], content, part["type"]


def pdf() -> bytes:
    canvas = Canvas("glider.pdf")
    canvas.drawString(72, 720, "The glider has a span of 18 metres.")
    return bytes(canvas.getpdfdata())


def content_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0]


def found_differences(theirs: Mapping[str, Any], answer: httpx.Response, case: Case) -> list[str]:
    if "events" in theirs:
        expected = [each["data"] if isinstance(each, dict) else each for each in theirs["events"]]
        names = [each["event"] for each in theirs["events"] if isinstance(each, dict) and "event" in each]
        got = events_of(answer)[-len(expected) :] if case.end else events_of(answer)
        named = set(names) - set(re.findall(r"^event: *(\w+)", answer.text, re.MULTILINE))
        return [f"no event {name}" for name in named] + [*stream_differences(expected, got)]
    if "ndjson" in theirs:
        return [*stream_differences(theirs["ndjson"], lines_of(answer))]
    if "text" in theirs:
        return [] if answer.text else ["no text"]
    return [*differences(theirs["body"], answer.json())]
