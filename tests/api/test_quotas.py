"""Quotas: files, bytes and tokens of one user; administrators have none."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from ragline.alone import serving
from ragline.config.settings import Connection, Models, Quotas
from ragline.errors import TooLarge
from ragline.pipelines.accept import replace
from ragline.retrieval.usage import seconds_left_today
from tests.api.desk import Person, open_desk
from tests.models.loopback import Loopback
from tests.serving import served

CHAT: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "été" * 100}]}


async def send(who: Person, text: str) -> httpx.Response:
    return await who.client.post("/api/v1/files/", files={"file": ("été.txt", text.encode(), "text/plain")})


async def test_a_user_has_no_more_files_than_the_quota_and_others_have_theirs(
    tmp_path: Path, models_folder: Path
) -> None:
    async with open_desk(tmp_path, models_folder, quotas=Quotas(max_files=2)) as desk:
        ada, bob = await desk.person("ada"), await desk.person("bob")
        answers = [await send(ada, f"numéro {number}") for number in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 413]
        detail = answers[2].json()["detail"]
        assert ("has 2 files and may have 2" in detail, "quotas.max_files" in detail, "delete" in detail) == (True,) * 3
        assert (await send(bob, "à moi")).status_code == 200
        assert [(await send(desk.admin, f"numéro {number}")).status_code for number in range(3)] == [200] * 3
        await ada.client.delete(f"/api/v1/files/{answers[0].json()['id']}")
        assert (await send(ada, "encore")).status_code == 200


async def test_a_user_has_no_more_bytes_than_the_quota(tmp_path: Path, models_folder: Path) -> None:
    async with open_desk(tmp_path, models_folder, quotas=Quotas(max_bytes=100)) as desk:
        ada = await desk.person("ada")
        assert (await send(ada, "a" * 60)).status_code == 200
        refused = await send(ada, "b" * 41)
        assert refused.status_code == 413
        assert all(each in refused.json()["detail"] for each in ("60 bytes", "41 more", "100", "quotas.max_bytes"))
        assert "Retry-After" not in refused.headers
        assert (await send(ada, "b" * 40)).status_code == 200


@pytest.mark.parametrize("quotas", [Quotas(max_files=3), Quotas(max_bytes=35)], ids=["files", "bytes"])
async def test_many_uploads_at_once_are_no_way_around_a_quota(
    tmp_path: Path, models_folder: Path, quotas: Quotas
) -> None:
    async with open_desk(tmp_path, models_folder, quotas=quotas) as desk:
        ada = await desk.person("ada")
        answers = await asyncio.gather(*(send(ada, f"{number:010}") for number in range(10)))
        assert sorted(each.status_code for each in answers) == [200] * 3 + [413] * 7
        kept, total = await desk.app.records.files.page(ada.user, limit=10, offset=0)
        assert total == 3
        stored = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
        assert len(stored) >= 3
        assert all(any(file.id in str(path) for file in kept) for path in stored)


async def test_new_bytes_of_a_file_count_as_what_they_add(tmp_path: Path, models_folder: Path) -> None:
    async with open_desk(tmp_path, models_folder, quotas=Quotas(max_bytes=100)) as desk:
        ada = await desk.person("ada")
        file_id = (await send(ada, "a" * 60)).json()["id"]

        async def renewed(size: int) -> int:
            file = await desk.app.records.files.get(file_id)
            new = await replace(desk.app, file, name="été.txt", content=io.BytesIO(b"c" * size))
            return new.size_bytes

        assert [await renewed(size) for size in (100, 50)] == [100, 50]
        with pytest.raises(TooLarge, match="51 more"):
            await renewed(101)


async def test_the_tokens_of_a_day_are_counted_and_no_more_are_given(
    tmp_path: Path, models_folder: Path, backend: Loopback
) -> None:
    quotas = Quotas(max_tokens_per_day=50)
    async with open_desk(tmp_path, models_folder, backend_url=backend.url, quotas=quotas) as desk:
        ada, bob = await desk.person("ada"), await desk.person("bob")
        path = "/api/chat/completions"
        assert (await ada.client.post(path, json=CHAT)).status_code == 200
        used = await desk.app.records.usage.tokens_today(ada.user.id)
        assert used >= 75  # 300 characters of the question alone
        asked = len(backend.seen)
        refused = await ada.client.post(path, json=CHAT)
        assert refused.status_code == 429
        assert all(each in refused.json()["detail"] for each in (f"{used} tokens", "50", "max_tokens_per_day"))
        assert abs(int(refused.headers["Retry-After"]) - seconds_left_today()) <= 5
        assert len(backend.seen) == asked
        assert (await bob.client.post(path, json=CHAT)).status_code == 200
        assert [(await desk.admin.client.post(path, json=CHAT)).status_code for _ in range(2)] == [200, 200]
        assert await desk.app.records.usage.tokens_today(desk.admin.user.id) == 0


async def test_what_a_back_end_says_it_used_counts(tmp_path: Path, models_folder: Path, backend: Loopback) -> None:
    quotas = Quotas(max_tokens_per_day=10_000)
    async with open_desk(tmp_path, models_folder, backend_url=backend.url, quotas=quotas) as desk:
        ada = await desk.person("ada")
        chat = CHAT | {"model": "llama3.2:latest", "stream": True}
        assert (await ada.client.post("/api/chat/completions", json=chat)).status_code == 200
        assert await desk.app.records.usage.tokens_today(ada.user.id) == 30  # 10 of the prompt, 20 of the answer


async def test_what_a_function_asks_other_models_counts(tmp_path: Path, models_folder: Path, backend: Loopback) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "fan.py").write_text(
        "async def chat(request):\n"
        "    for _ in range(50):\n"
        "        await request.complete('llama3.2:latest')\n"
        "    return 'all'\n"
    )
    models = Models(
        connections=(
            Connection(name="ollama", kind="ollama", url=backend.url),
            Connection(name="functions", kind="functions"),
        ),
        functions_dir=tmp_path / "functions",
    )
    async with open_desk(tmp_path, models_folder, models=models, quotas=Quotas(max_tokens_per_day=100)) as desk:
        ada = await desk.person("ada")
        refused = await ada.client.post("/api/chat/completions", json=CHAT | {"model": "fan"})
        assert (refused.status_code, "max_tokens_per_day" in refused.text) == (429, True)
        assert await desk.app.records.usage.tokens_today(ada.user.id) == 120  # 30 each, until 100 were used


class Listing(Loopback):
    """Lists the models that do not come to an end, so that they can be chatted with."""

    async def _answer(self, path: str, body: dict[str, Any], receive: Any, send: Any) -> None:
        if path == "/v1/models":
            await self._send(send, 200, {"data": [{"id": "hang"}, {"id": "gated"}]})
        else:
            await super()._answer(path, body, receive, send)


@pytest.mark.parametrize("model", ["hang", "gated"])
async def test_a_stream_that_is_abandoned_counts(tmp_path: Path, models_folder: Path, model: str) -> None:
    quotas = Quotas(max_tokens_per_day=50)
    with served(Listing()) as url:
        await abandon(tmp_path, models_folder, url, quotas, model)


async def abandon(tmp_path: Path, models_folder: Path, backend_url: str, quotas: Quotas, model: str) -> None:
    async with open_desk(tmp_path, models_folder, backend_url=backend_url, quotas=quotas) as desk:
        ada = await desk.person("ada")
        headers = {"Authorization": f"Bearer {ada.key}"}
        async with serving(desk.app, desk.admin.user) as url:
            async with (
                httpx.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False) as client,
                client.stream("POST", "/api/chat/completions", json=CHAT | {"model": model, "stream": True}) as answer,
            ):
                assert answer.status_code == 200
                await anext(answer.aiter_bytes())
            async with asyncio.timeout(5):
                while await desk.app.records.usage.tokens_today(ada.user.id) < 75:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        again = await ada.client.post("/api/chat/completions", json=CHAT | {"model": model})
        assert again.status_code == 429
