"""What clients send by accident or on purpose: a clear answer, nothing lost, nobody else disturbed."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from .running import Running, start
from .test_endpoints import ask, finished, upload

SURROGATE = '"\\ud800"'


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/api/chat/completions", '{"model": NaN}', id="nan"),
        pytest.param("/api/chat/completions", '{"model": "extractive", "temperature": NaN}', id="nan-parameter"),
        pytest.param("/api/chat/completions", f'{{"model": {SURROGATE}}}', id="surrogate"),
        pytest.param("/api/chat/completions", "[" * 100_000, id="deep"),
        pytest.param("/api/chat/completions", '{"model": "%s"}' % ("x" * 300), id="long-model"),
        pytest.param(
            "/api/chat/completions", '{"model": "m", "files": [%s]}' % ('{"type": "file", "id": "a"},' * 300), id="refs"
        ),
        pytest.param("/api/v1/knowledge/create", f'{{"name": {SURROGATE}, "description": ""}}', id="name"),
        pytest.param("/api/v1/auths/signin", f'{{"email": {SURROGATE}, "password": "x"}}', id="sign-in"),
    ],
)
def test_what_is_no_json_or_too_much_is_422(client: httpx.Client, path: str, body: str) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


def test_a_password_is_not_sent_back(client: httpx.Client) -> None:
    answer = client.post("/api/v1/auths/signup", json={"email": "no", "password": "short-one"})
    assert (answer.status_code, "short-one" in answer.text) == (422, False)


@pytest.mark.parametrize(
    "metadata",
    [
        "[1]",
        "{",
        '{"a": NaN}',
        f'{{"a": {SURROGATE}}}',
        '{"a":' + "[" * 400 + "]" * 400 + "}",
        '{"a": "%s"}' % ("x" * 70_000),
    ],
    ids=["list", "broken", "nan", "surrogate", "deep", "long"],
)
def test_bad_metadata_is_400_and_the_list_of_files_stays_readable(client: httpx.Client, metadata: str) -> None:
    answer = client.post("/api/v1/files/", files={"file": ("a.txt", b"a")}, data={"metadata": metadata})
    assert (answer.status_code, "metadata" in answer.json()["detail"]) == (400, True)
    assert client.get("/api/v1/files/").status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/files/", "/api/v1/knowledge/"])
@pytest.mark.parametrize("page", ["0", "-1", "99999999999999999999", "x"])
def test_a_page_that_cannot_be_is_422(client: httpx.Client, path: str, page: str) -> None:
    assert client.get(path, params={"page": page}).status_code == 422


def test_a_document_with_lone_surrogates_is_read_and_disturbs_nobody(client: httpx.Client) -> None:
    odd = upload(client, "odd.json", '{"a": "hello \\ud800 world"}')["id"]
    good = upload(client, "good.txt", "Nothing is wrong with this one.")["id"]
    assert [finished(client, file_id)["status"] for file_id in (odd, good)] == ["completed", "completed"]


def test_a_body_is_not_read_without_a_token(server: Running) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        head = (
            "POST /api/v1/files/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\nContent-Type: text/plain\r\n\r\n"
        )
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 401")


def test_a_body_over_the_limit_is_413_before_it_is_read(server: Running) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        lines = ["POST /api/chat/completions HTTP/1.1", "Host: x", f"Authorization: Bearer {server.key}"]
        raw.sendall("\r\n".join([*lines, "Content-Length: 100000000", "", ""]).encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_say_its_length_is_413_at_the_limit(client: httpx.Client) -> None:
    blocks = (b" " * (1 << 20) for _ in range(70))
    answer = client.post("/api/chat/completions", content=blocks, headers={"Content-Type": "application/json"})
    assert (answer.status_code, "server.max_json_bytes" in answer.text) == (413, True)


def test_one_sign_up_of_many_at_once_succeeds(tmp_path: Path, models_folder: Path) -> None:
    running = start(tmp_path, models_folder, {"RAGLINE_PREFECT__ENABLED": "false"})

    def sign_up(number: int) -> int:
        account = {"name": "a", "email": f"a{number}@example.org", "password": "correct horse"}
        return httpx.post(f"{running.url}/api/v1/auths/signup", json=account, timeout=60, trust_env=False).status_code

    try:
        with ThreadPoolExecutor(8) as threads:
            assert sorted(threads.map(sign_up, range(8))) == [200] + [403] * 7
    finally:
        running.stop()


def test_a_chat_that_nobody_waits_for_gives_way(server: Running, client: httpx.Client) -> None:
    body = {"model": "smollm2:135m", "messages": [{"role": "user", "content": "Tell a very long story."}]}
    with server.client() as impatient:
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                impatient.post("/api/chat/completions", json=body | {"max_tokens": 2000}, timeout=0.5)
    started = time.monotonic()
    assert client.post("/api/chat/completions", json=body | {"max_tokens": 2}).status_code == 200
    assert time.monotonic() - started < 20  # two whole answers take longer


def test_a_server_stops_while_it_generates_and_tells_those_who_wait(tmp_path: Path, models_folder: Path) -> None:
    running = start(tmp_path, models_folder, {"RAGLINE_PREFECT__ENABLED": "false"})
    statuses: list[int] = []

    def chat() -> None:
        body = {"model": "smollm2:135m", "messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": 2000}
        with running.client() as client:
            statuses.append(client.post("/api/chat/completions", json=body).status_code)

    threads = [threading.Thread(target=chat) for _ in range(3)]
    for thread in threads:
        thread.start()
    while "model loaded" not in running.logged:
        time.sleep(0.05)
    assert running.stop() < 5
    for thread in threads:
        thread.join(10)
    assert statuses == [503, 503, 503]
    assert "Traceback" not in running.logged


def test_an_administrator_cannot_put_anothers_file_where_others_read_it(server: Running, client: httpx.Client) -> None:
    import asyncio

    from ragline.config.settings import Database
    from ragline.connectors.records.store import open_records

    async def second_user() -> str:
        records = await open_records(Database(), data_dir=server.data_dir)
        user = await records.users.add(name="Bob", email="bob@example.org", role="user", password_hash=None)
        key, _ = await records.keys.add(user.id, name="k")
        await records.close()
        return key

    with server.client(asyncio.run(second_user())) as bob:
        mine = upload(client, "mine.txt", "The secret of the administrator.")["id"]
        his = upload(bob, "his.txt", "The secret of Bob is blue.")["id"]
        shelf = bob.post("/api/v1/knowledge/create", json={"name": "n", "description": "d"}).json()["id"]
        for path in (f"/api/v1/files/{mine}", f"/api/v1/files/{mine}/process/status"):
            assert bob.get(path).json() == json.loads(
                bob.get(path.replace(mine, "absent")).text.replace("absent", mine)
            )
        assert ask(bob, "What?", [{"type": "file", "id": mine}]).status_code == 404
        assert bob.post(f"/api/v1/knowledge/{shelf}/file/add", json={"file_id": mine}).status_code == 404
        own = client.post("/api/v1/knowledge/create", json={"name": "n", "description": "d"}).json()["id"]
        assert client.post(f"/api/v1/knowledge/{own}/file/add", json={"file_id": his}).status_code == 403
        assert bob.get("/api/v1/files/").json()["total"] == 1
        answer = ask(bob, "What is the secret?", [{"type": "file", "id": his}]).json()
        assert "blue" in answer["sources"][0]["document"][0]
