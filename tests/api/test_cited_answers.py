"""Answers with citations that were checked: whole, as a stream, and where there is nothing to check."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ragline.config.settings import Connection, Models, Retrieval
from ragline.retrieval.cited import MAX_CHARS, Heard, cited
from ragline.types import Context
from tests.api.desk import Desk, Person, open_desk
from tests.serving import body_of, served

NOTICE = (
    "# Garantie\n\nLa pompe Zéphyr ZP-8841 est garantie 27 mois à compter de la livraison par la société Dupont.\n\n"
    "# Prix\n\nElle coûte 1 234,50 € hors taxes, et 12 % de moins pour les revendeurs de Nantes.\n"
)
ASKED = "Combien de temps la pompe Zéphyr est-elle garantie ?"


def chunk(delta: dict[str, Any], *, index: int = 0, finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": index, "delta": delta, "finish_reason": finish}]
    said = {"id": "c7", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices, **more}
    return b"data: " + json.dumps(said, ensure_ascii=False).encode() + b"\n\n"


USAGE = chunk({}, finish="stop", usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})
DONE = b"data: [DONE]\n\n"
CALL = {"index": 0, "id": "t1", "type": "function", "function": {"name": "heure", "arguments": "{}"}}
STREAMS: dict[str, list[bytes]] = {
    "true": [chunk({"content": "La garantie "}), chunk({"content": "dure 27 mois [1]."}), USAGE, DONE],
    "wrong": [chunk({"content": "🙂 La garantie de Durand dure 36 mois [1][4]."}), USAGE + DONE],
    "thinks": [chunk({"reasoning_content": "Peut-être 99 ans [1]."}), chunk({"content": "27 mois [1]."}), DONE],
    "twice": [chunk({"content": "27 mois [1]."}), chunk({"content": "99 ans [1]."}, index=1), DONE],
    "calls": [chunk({"content": "27 mois [1]."}), chunk({"tool_calls": [CALL]}), DONE],
    "silent": [chunk({"content": "Je ne sais pas."}), DONE],
    "breaks": [chunk({"content": "27 mois [1]."}), b'data: {"error": {"message": "lost"}}\n\n', DONE],
}  # fmt: skip


@dataclass
class Citing:
    """A model server whose models cite, as in `STREAMS`."""

    url: str = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = json.loads(await body_of(receive) or b"{}")
        if scope["method"] == "GET":
            listed = {"data": [{"id": name, "object": "model"} for name in STREAMS]}
            await self.send(send, "application/json", [json.dumps(listed).encode()])
        elif body.get("stream"):
            await self.send(send, "text/event-stream", STREAMS[body["model"]])
        else:
            await self.send(send, "application/json", [json.dumps(whole(body["model"])).encode()])

    async def send(self, send: Any, kind: str, pieces: list[bytes]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode())]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def whole(model: str) -> dict[str, Any]:
    """The same as a whole completion."""
    messages: dict[int, dict[str, Any]] = {}
    for event in STREAMS[model]:
        for line in event.splitlines():
            for choice in json.loads(line[6:]).get("choices", []) if line.startswith(b"data: {") else []:
                message = messages.setdefault(choice["index"], {"role": "assistant", "content": ""})
                message["content"] += choice["delta"].get("content", "")
                message |= {key: choice["delta"][key] for key in ("tool_calls",) if key in choice["delta"]}
    return {"id": "c7", "choices": [{"index": index, "message": message} for index, message in messages.items()]}


@pytest.fixture(scope="module")
def citing() -> Iterator[Citing]:
    made = Citing()
    with served(made) as made.url:
        yield made


def models(citing: Citing) -> Models:
    connections = (
        Connection(name="open", kind="openai", url=f"{citing.url}/v1"),
        Connection(name="functions", kind="functions"),
    )
    return Models(connections=connections, aliases={})


@pytest.fixture
async def desk(tmp_path: Path, models_folder: Path, citing: Citing) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, models_folder, models=models(citing)) as opened:
        yield opened


async def chat(who: Person, model: str, *files: Any, **more: Any) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": ASKED}], "files": list(files), **more}
    answer = await who.client.post("/api/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer


async def streamed(who: Person, model: str, *files: Any) -> list[Any]:
    answer = await chat(who, model, *files, stream=True)
    lines = [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def file(id: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "id": id, **more}


async def test_a_whole_answer_has_its_citations_checked(desk: Desk) -> None:
    file_id = await desk.upload(desk.admin, "notice.md", NOTICE)
    answer = (await chat(desk.admin, "true", file(file_id))).json()
    assert next(iter(answer)) == "sources"
    [found] = answer["citations"]
    text = answer["choices"][0]["message"]["content"]
    assert text[slice(*found["span"])] == found["sentence"] == "La garantie dure 27 mois [1]."
    assert (found["n"], found["supported"], found["missing"]) == (1, True, [])
    place = found["source"]
    content = (await desk.admin.client.get(f"/api/v1/files/{file_id}/data/content")).json()["content"]
    assert content[place["start"] : place["end"]] == found["quote"]
    assert "27 mois" in found["quote"]
    assert (place["file_id"], place["name"], place["heading"]) == (file_id, "notice.md", "Garantie")
    shown = (await desk.admin.client.get(place["passage_url"])).json()
    assert shown["start"] <= place["start"] < place["end"] <= shown["end"]


async def test_what_is_not_in_the_source_is_named(desk: Desk) -> None:
    file_id = await desk.upload(desk.admin, "notice.md", NOTICE)
    answer = (await chat(desk.admin, "wrong", file(file_id))).json()
    first, second = answer["citations"]
    assert (first["n"], first["supported"], first["missing"]) == (1, False, ["36 mois", "Durand"])
    assert (second["n"], second["supported"], second["source"], second["quote"]) == (4, False, None, None)
    text = answer["choices"][0]["message"]["content"]
    assert text[slice(*first["span"])] == "🙂 La garantie de Durand dure 36 mois [1][4]."


@pytest.mark.parametrize(
    ("model", "supported"),
    [
        pytest.param("true", [True], id="right"),
        pytest.param("wrong", [False, False], id="wrong"),
        pytest.param("thinks", [True], id="reasoning-left-out"),
        pytest.param("twice", [True], id="first-choice-only"),
    ],
)
async def test_a_stream_ends_with_its_citations(desk: Desk, model: str, supported: list[bool]) -> None:
    file_id = await desk.upload(desk.admin, "notice.md", NOTICE)
    events = await streamed(desk.admin, model, file(file_id))
    assert "sources" in events[0]
    assert events[-1] == "[DONE]"
    last = events[-2]
    assert [each["supported"] for each in last["citations"]] == supported
    assert (last["id"], last["object"], last["model"], last["choices"]) == ("c7", "chat.completion.chunk", "m", [])
    assert [event for event in events if "citations" in event] == [last]
    whole_answer = (await chat(desk.admin, model, file(file_id))).json()
    assert whole_answer["citations"] == last["citations"]


@pytest.mark.parametrize("model", ["calls", "breaks", "silent"])
async def test_calls_what_broke_off_and_what_cites_nothing_have_none(desk: Desk, model: str) -> None:
    file_id = await desk.upload(desk.admin, "notice.md", NOTICE)
    events = await streamed(desk.admin, model, file(file_id))
    assert events[-1] == "[DONE]"
    assert not any("citations" in event for event in events)


async def test_a_whole_answer_that_calls_is_not_checked(desk: Desk) -> None:
    file_id = await desk.upload(desk.admin, "notice.md", NOTICE)
    assert "citations" not in (await chat(desk.admin, "calls", file(file_id))).json()
    assert (await chat(desk.admin, "silent", file(file_id))).json()["citations"] == []


async def test_without_references_a_stream_is_the_back_ends(desk: Desk) -> None:
    answer = await chat(desk.admin, "true", stream=True)
    assert answer.content == b"".join(STREAMS["true"])
    assert "citations" not in (await chat(desk.admin, "true")).json()


async def test_the_setting_switches_the_check_off(tmp_path: Path, models_folder: Path, citing: Citing) -> None:
    off = Retrieval(check_citations=False)
    async with open_desk(tmp_path, models_folder, models=models(citing), retrieval=off) as desk:
        file_id = await desk.upload(desk.admin, "notice.md", NOTICE)
        assert "citations" not in (await chat(desk.admin, "true", file(file_id))).json()
        assert not any("citations" in event for event in await streamed(desk.admin, "true", file(file_id)))


async def test_a_text_of_the_request_is_cited_without_a_file(desk: Desk) -> None:
    answer = (await chat(desk.admin, "true", {"type": "text", "name": "note", "content": NOTICE})).json()
    [found] = answer["citations"]
    assert found["supported"]
    place = found["source"]
    assert (place["file_id"], place["passage_url"], place["name"]) == (None, None, "note")
    assert NOTICE[place["start"] : place["end"]] == found["quote"]


async def test_a_whole_file_is_cited_with_the_place_of_the_quote(desk: Desk) -> None:
    file_id = await desk.upload(desk.admin, "notice.md", NOTICE)
    [found] = (await chat(desk.admin, "true", file(file_id, context="full"))).json()["citations"]
    shown = (await desk.admin.client.get(found["source"]["passage_url"])).json()
    assert found["quote"] in shown["text"]


async def test_the_extractive_model_cites_what_is_there(desk: Desk) -> None:
    file_id = await desk.upload(desk.admin, "notice.md", NOTICE)
    events = await streamed(desk.admin, "extractive", file(file_id))
    found = events[-2]["citations"]
    assert found
    assert all(each["supported"] for each in found)


async def test_bytes_pass_on_before_the_next_are_there() -> None:
    pieces, made = [*STREAMS["true"][:2], USAGE + DONE], []

    async def events() -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            made.append(piece)
            yield piece

    passed = []
    async for some in cited(events(), Context("?", [])):
        passed.append(some)
        assert made == pieces[: len(made)]
        assert len(made) <= len(passed)
    assert passed[:2] == pieces[:2]
    assert (passed[2], passed[4]) == (USAGE, DONE)
    assert b'"citations": [{"n": 1, "supported": false' in passed[3]
    assert len(passed) == 5


async def test_a_stream_without_an_end_is_checked_at_its_end() -> None:
    async def events() -> AsyncGenerator[bytes, None]:
        yield STREAMS["true"][1]

    passed = [some async for some in cited(events(), Context("?", []))]
    assert passed[0] == STREAMS["true"][1]
    assert len(passed) == 2


async def test_leaving_closes_the_back_ends_stream() -> None:
    closed = []

    async def events() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield STREAMS["true"][0]
        finally:
            closed.append(True)

    stream = cited(events(), Context("?", []))
    await anext(stream)
    await stream.aclose()
    assert closed == [True]


async def test_of_an_endless_answer_only_the_beginning_is_kept() -> None:
    heard = Heard()
    for _ in range(30):
        heard.take(chunk({"content": "é" * 50_000}))
    assert heard.text is not None
    assert len(heard.text) == MAX_CHARS


async def test_the_formats_of_others_are_left_as_they_are(desk: Desk) -> None:
    file_id = await desk.upload(desk.admin, "notice.md", NOTICE)
    body = {
        "model": "true",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": ASKED}],
        "files": [file(file_id)],
    }
    for stream in (False, True):
        answer = await desk.admin.client.post("/v1/messages", json=body | {"stream": stream})
        assert answer.status_code == 200
        assert "27 mois [1]" in answer.text
        assert "citations" not in answer.text
