"""Files over HTTP: upload into a collection, progress as it happens, cancel, retry, delete."""

from __future__ import annotations

import json
import threading
import time
import uuid

import httpx
import pytest

from tests.http.running import Running

TEXT = "# Pompe\n\nLa pompe Zéphyr a une garantie de 27 mois. Révision {n}.\n"
STATUS_KEYS = {
    "status",
    "stage",
    "progress",
    "error",
    "failure",
    "attempts",
    "position",
    "searchable",
    "flow_run_id",
    "flow_run_url",
    "notes",
    "about",
}


def upload(client: httpx.Client, text: str, name: str = "pompe.md", **more: object) -> httpx.Response:
    metadata = {"metadata": json.dumps(more.pop("metadata"))} if "metadata" in more else {}
    return client.post("/api/v1/files/", files={"file": (name, text.encode())}, data=metadata, params=dict(more))  # type: ignore[arg-type]  # plain values


def fresh() -> str:
    return TEXT.format(n=uuid.uuid4())


def long_text(parts: int = 400) -> str:
    return "\n\n".join(f"# {n} {uuid.uuid4()}\n\n" + f"Phrase {n} de la pompe. " * 30 for n in range(parts))


def status(client: httpx.Client, file_id: str) -> dict[str, object]:
    answer = client.get(f"/api/v1/files/{file_id}/process/status")
    answer.raise_for_status()
    found: dict[str, object] = answer.json()
    return found


def events(client: httpx.Client, file_id: str) -> list[dict[str, object]]:
    with client.stream("GET", f"/api/v1/files/{file_id}/process/status", params={"stream": True}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]


def test_an_upload_that_is_awaited_answers_when_it_can_be_searched(server: Running) -> None:
    with server.client() as client:
        answer = upload(client, fresh(), process_in_background=False)
        assert answer.json()["data"]["status"] == "completed"
        assert status(client, answer.json()["id"])["searchable"] is True
        answer = upload(client, " \n ", name="blank.txt", process_in_background=False)
        assert answer.status_code == 200
        assert answer.json()["data"]["status"] == "failed"
        assert "no text" in answer.json()["data"]["error"]


def test_the_metadata_of_an_upload_can_name_a_collection(server: Running) -> None:
    with server.client() as client:
        made = client.post("/api/v1/knowledge/create", json={"name": "k", "description": ""}).json()["id"]
        file_id = upload(client, fresh(), metadata={"knowledge_id": made}, process_in_background=False).json()["id"]
        chat = {
            "model": "extractive",
            "messages": [{"role": "user", "content": "Combien de mois de garantie ?"}],
            "files": [{"type": "collection", "id": made}],
        }
        answer = client.post("/api/chat/completions", json=chat).json()
        assert [source["metadata"][0]["file_id"] for source in answer["sources"]] == [file_id]


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        pytest.param({"knowledge_id": str(uuid.uuid4())}, 404, id="unknown-collection"),
        pytest.param({"knowledge_id": 7}, 400, id="not-a-text"),
        pytest.param({"knowledge_id": ["a"]}, 400, id="a-list"),
    ],
)
def test_a_wrong_collection_is_refused_and_nothing_is_kept(server: Running, metadata: object, code: int) -> None:
    with server.client() as client:
        before = client.get("/api/v1/files/").json()["total"]
        assert upload(client, fresh(), metadata=metadata).status_code == code
        assert client.get("/api/v1/files/").json()["total"] == before


def test_progress_is_pushed_as_it_happens(server: Running) -> None:
    with server.client() as client:
        file_id = upload(client, long_text(80)).json()["id"]
        seen = events(client, file_id)
        assert seen[-1]["status"] == "completed"
        assert all(set(event) == STATUS_KEYS for event in seen)
        assert [json.dumps(event) for event in seen] == list(dict.fromkeys(json.dumps(event) for event in seen))
        progress = [float(str(event["progress"])) for event in seen]
        assert progress == sorted(progress)
        assert {"embed", "done"} <= {event["stage"] for event in seen}
        assert seen[-1]["attempts"] == 1


def test_cancelling_ends_the_stream_and_the_work(server: Running) -> None:
    with server.client() as client:
        file_id = upload(client, long_text()).json()["id"]
        seen: list[dict[str, object]] = []

        def follow() -> None:
            with server.client() as other:
                seen.extend(events(other, file_id))

        follower = threading.Thread(target=follow)
        follower.start()
        while status(client, file_id)["stage"] != "embed":
            time.sleep(0.02)
        answer = client.post(f"/api/v1/files/{file_id}/process/cancel")
        assert (answer.json()["status"], answer.json()["failure"]) == ("failed", "cancelled")
        follower.join(10)
        assert seen[-1]["failure"] == "cancelled"
        assert client.post(f"/api/v1/files/{file_id}/process/cancel").status_code == 409
        assert upload(client, fresh(), process_in_background=False).json()["data"]["status"] == "completed"
        assert client.delete(f"/api/v1/files/{file_id}").status_code == 200


def test_a_failed_file_can_be_retried_and_no_other(server: Running) -> None:
    with server.client() as client:
        file_id = upload(client, " \n ", name="blank.txt", process_in_background=False).json()["id"]
        assert client.post(f"/api/v1/files/{file_id}/process/retry").json()["status"] == "pending"
        assert events(client, file_id)[-1]["failure"] == "permanent"
        good = upload(client, fresh(), process_in_background=False).json()["id"]
        answer = client.post(f"/api/v1/files/{good}/process/retry")
        assert answer.status_code == 409
        assert "completed" in answer.json()["detail"]
        assert client.post(f"/api/v1/files/{uuid.uuid4()}/process/retry").status_code == 404


def test_a_deleted_file_is_gone_everywhere(server: Running) -> None:
    with server.client() as client:
        file_id = upload(client, fresh(), process_in_background=False).json()["id"]
        assert client.delete(f"/api/v1/files/{file_id}/").json() == {"message": "File deleted successfully"}
        for path in ("", "/process/status"):
            assert client.get(f"/api/v1/files/{file_id}{path}").status_code == 404
        assert client.delete(f"/api/v1/files/{file_id}").status_code == 404
        chat = {
            "model": "extractive",
            "messages": [{"role": "user", "content": "garantie"}],
            "files": [{"type": "file", "id": file_id}],
        }
        assert client.post("/api/chat/completions", json=chat).status_code == 404


def test_files_are_found_by_the_hash_of_their_bytes(server: Running) -> None:
    import hashlib

    text = fresh()
    with server.client() as client:
        file_id = upload(client, text).json()["id"]
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert [item["id"] for item in client.get("/api/v1/files/", params={"sha256": digest}).json()["items"]] == [
            file_id
        ]
        assert client.get("/api/v1/files/", params={"sha256": "0" * 64}).json() == {"items": [], "total": 0}
