"""Function models through the API: listed, asked, streamed, with the rights of who asks, and failing without harm."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ragline.config.settings import Connection, Models
from ragline.types import EVERYBODY
from tests.api.desk import Desk, Person, open_desk
from tests.models.loopback import Loopback

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "functions"
NOTE = "La garantie de la pompe Zéphyr est de 27 mois."
OTHER = "La pompe Mistral est garantie 31 mois."

FILES = {
    "hello.py": """
        async def chat(request):
            yield f"Bonjour {request.user.name} ({request.user.role}, {request.language})"
        """,
    "finder.py": """
        async def chat(request):
            found = await request.search(
                request.question,
                files=request.parameters.get("in_files", ()),
                collections=request.parameters.get("in_collections", ()),
            )
            yield " | ".join(sorted(passage.text for passage in found))
        """,
    "relay.py": """
        async def chat(request):
            async for piece in request.stream(request.parameters["to"]):
                yield piece
        """,
    "circle.py": """
        class One:
            id = "one"
            async def chat(self, request):
                return await request.complete("two")

        class Two:
            id = "two"
            async def chat(self, request):
                return await request.complete("one")
        """,
    "faulty.py": """
        import time

        class AtOnce:
            id = "at-once"
            async def chat(self, request):
                raise FileNotFoundError("/srv/secret")
                yield ""

        class Later:
            id = "later"
            async def chat(self, request):
                yield "é"
                raise SystemExit(1)

        class Sleeper:
            id = "sleeper"
            async def chat(self, request):
                time.sleep(3)
                return "réveillée"
        """,
}


@pytest.fixture
async def desk(tmp_path: Path, models_folder: Path, backend: Loopback) -> AsyncIterator[Desk]:
    functions = tmp_path / "functions"
    functions.mkdir()
    for name, text in FILES.items():
        lines = text.strip("\n").splitlines()
        (functions / name).write_text("\n".join(line[8:] for line in lines))
    for example in EXAMPLES.glob("*.py"):
        shutil.copy(example, functions)
    backend.odd_list = b'{"data": [{"id": "lost"}]}'
    models = Models(
        connections=(
            Connection(name="open", kind="openai", url=f"{backend.url}/v1"),
            Connection(name="odd", kind="openai", url=f"{backend.url}/odd"),
            Connection(name="functions", kind="functions"),
        ),
        aliases={"llama3.2": ("best-passages",)},
        functions_dir=functions,
    )
    async with open_desk(tmp_path, models_folder, models=models) as opened:
        yield opened


def body(model: str, question: str = "Quelle est la garantie de la pompe ?", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": question}], **more}


async def said(who: Person, model: str, **more: Any) -> str:
    answer = await who.client.post("/api/chat/completions", json=body(model, **more))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


async def refused(who: Person, model: str, **more: Any) -> tuple[int, str]:
    answer = await who.client.post("/api/chat/completions", json=body(model, **more))
    return answer.status_code, answer.json()["detail"]


async def test_functions_are_listed_and_answer_whole_and_streaming(desk: Desk) -> None:
    ada = await desk.person("Ada")
    listed = {model["id"]: model for model in (await ada.client.get("/api/models")).json()["data"]}
    assert listed["hello"]["owned_by"] == "function"
    assert listed["best-passages"]["name"] == "Best passages (no language model)"
    assert listed["llama3.2"] | {"alias_of": "best-passages", "name": "llama3.2"} == listed["llama3.2"]
    assert {"extractive", "best-passages", "footnotes", "one", "two"} <= listed.keys()
    assert await said(ada, "hello") == "Bonjour Ada (user, fr)"
    answer = await ada.client.post("/api/chat/completions", json=body("hello", stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, done = [line[6:] for line in answer.text.splitlines() if line]
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events]
    assert ("".join(delta.get("content", "") for delta in deltas), done) == ("Bonjour Ada (user, fr)", "[DONE]")


async def test_the_context_of_the_chat_reaches_the_function_and_its_sources_the_client(desk: Desk) -> None:
    ada = await desk.person("Ada")
    file_id = await desk.upload(ada, "zéphyr.txt", NOTE)
    sent = body("best-passages", files=[{"type": "file", "id": file_id}])
    answer = (await ada.client.post("/api/chat/completions", json=sent)).json()
    assert answer["choices"][0]["message"]["content"] == f"> {NOTE}\n\n— zéphyr.txt [1]\n\n"
    assert answer["sources"][0]["document"] == [NOTE]
    assert (await said(ada, "footnotes", files=sent["files"])).endswith(
        "— zéphyr.txt [1]\n\n\n\nSources citées :\n[1] zéphyr.txt"
    )


async def test_an_answer_that_cites_nothing_is_marked(desk: Desk) -> None:
    ada = await desk.person("Ada")
    file_id = await desk.upload(ada, "zéphyr.txt", NOTE)
    text = (desk.app.settings.models.functions_dir / "footnotes.py").read_text()
    (desk.app.settings.models.functions_dir / "footnotes.py").write_text(text.replace('"llama3.2"', '"echo"'))
    said_it = await said(ada, "footnotes", files=[{"type": "file", "id": file_id}])
    assert said_it == "éON\x85E\n\nCette réponse ne cite aucun document : vérifiez-la."


async def test_a_search_finds_what_the_caller_may_see_and_nothing_else(desk: Desk) -> None:
    ada, bob = await desk.person("Ada"), await desk.person("Bob")
    private = await desk.upload(ada, "zéphyr.txt", NOTE)
    shared = await desk.upload(ada, "mistral.txt", OTHER)
    collection_id = await desk.collection(ada, "pompes", shared)
    assert await said(ada, "finder") == f"{NOTE} | {OTHER}"
    assert await said(ada, "finder", in_files=[private]) == NOTE
    assert await said(bob, "finder") == ""
    hidden = await refused(bob, "finder", in_files=[private])
    assert hidden[0] == 404
    unknown = await refused(bob, "finder", in_files=["11111111-1111-4111-8111-111111111111"])
    assert hidden[1].replace(private, "") == unknown[1].replace("11111111-1111-4111-8111-111111111111", "")
    assert (await refused(bob, "finder", in_collections=[collection_id]))[0] == 404
    await desk.app.records.grants.replace(collection_id, {EVERYBODY: "read"})
    assert await said(bob, "finder") == OTHER
    assert await said(bob, "finder", in_collections=[collection_id]) == OTHER
    assert (await refused(bob, "finder", in_files=[private]))[0] == 404


async def test_a_key_for_one_collection_finds_what_is_in_it(desk: Desk) -> None:
    ada = await desk.person("Ada")
    await desk.upload(ada, "zéphyr.txt", NOTE)
    collection_id = await desk.collection(ada, "pompes", await desk.upload(ada, "mistral.txt", OTHER))
    key, _ = await desk.app.records.keys.add(ada.user.id, name="one", collections=[collection_id])
    limited = Person(ada.user, key, await desk.client(key))
    assert await said(limited, "finder") == OTHER


async def test_a_function_may_pass_on_another_model(desk: Desk, backend: Loopback) -> None:
    ada = await desk.person("Ada")
    file_id = await desk.upload(ada, "zéphyr.txt", NOTE)
    assert await said(ada, "relay", to="echo", files=[{"type": "file", "id": file_id}]) == "éON\x85E"
    sent = backend.seen[-1].body
    assert (sent["model"], sent["stream"]) == ("echo", True)
    assert NOTE in sent["messages"][0]["content"], "what was retrieved goes to the other model"
    assert "to" not in sent


@pytest.mark.parametrize(
    ("to", "status", "text"),
    [
        pytest.param("lost", 404, "no /odd/chat/completions", id="its-refusal"),
        pytest.param("nowhere", 404, "model 'nowhere' not found", id="unknown"),
        pytest.param("relay", 422, "in a circle: relay → relay", id="itself"),
    ],
)
async def test_the_other_models_errors_are_passed_on(desk: Desk, to: str, status: int, text: str) -> None:
    ada = await desk.person("Ada")
    sent: tuple[dict[str, Any], ...] = ({}, {"stream": True})
    for more in sent:
        answer = await ada.client.post("/api/chat/completions", json=body("relay", to=to, **more))
        assert (answer.status_code, text in answer.text) == (status, True)


async def test_functions_that_ask_each_other_in_a_circle_are_stopped(desk: Desk) -> None:
    ada = await desk.person("Ada")
    assert await refused(ada, "one") == (422, "function models ask each other in a circle: one → two → one")


async def test_a_function_that_fails_is_a_502_that_names_it_and_nothing_else(desk: Desk) -> None:
    ada = await desk.person("Ada")
    sent: tuple[dict[str, Any], ...] = ({}, {"stream": True})
    for more in sent:
        status, detail = await refused(ada, "at-once", **more)
        assert status == 502
        assert detail == "functions: function 'at-once' failed: FileNotFoundError; the server's log has the traceback"
    assert (await ada.client.get("/health")).status_code == 200
    assert await said(ada, "hello") == "Bonjour Ada (user, fr)"


async def test_a_function_that_fails_in_mid_stream_is_an_error_event_and_then_the_end(desk: Desk) -> None:
    ada = await desk.person("Ada")
    answer = await ada.client.post("/api/chat/completions", json=body("later", stream=True))
    *_, piece, error, done = [line[6:] for line in answer.text.splitlines() if line]
    assert answer.status_code == 200
    assert (json.loads(piece)["choices"][0]["delta"], done) == ({"content": "é"}, "[DONE]")
    assert "function 'later' failed: SystemExit" in json.loads(error)["error"]["message"]
    assert (await ada.client.get("/health")).status_code == 200


async def test_a_function_that_sleeps_delays_nobody(desk: Desk) -> None:
    ada = await desk.person("Ada")
    await ada.client.get("/api/models")
    work = asyncio.ensure_future(said(ada, "sleeper"))
    await asyncio.sleep(0.2)
    assert (await ada.client.get("/health")).status_code == 200
    assert await said(ada, "hello") == "Bonjour Ada (user, fr)"
    assert not work.done()
    assert await work == "réveillée"


async def test_a_new_version_of_a_file_answers_the_next_chat(desk: Desk) -> None:
    ada = await desk.person("Ada")
    file = desk.app.settings.models.functions_dir / "hello.py"
    assert await said(ada, "hello") == "Bonjour Ada (user, fr)"
    file.write_text("def chat(request): return 'Rebonjour'")
    assert await said(ada, "hello") == "Rebonjour"
    file.write_text("def chat(request): return 1 /")
    assert await said(ada, "hello") == "Rebonjour"
    file.unlink()
    assert (await refused(ada, "hello"))[0] == 404
