"""A running server with an administrator and a user, and short ways to what most tests need of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import httpx

from tests.http.running import Running

from .stub import Stub

UNKNOWN = "00000000-0000-4000-8000-000000000000"
PASSWORD = "Adm1n-password"
ZEPHYR = (
    "The warranty period of the Zephyr pump is 27 months.\n"
    "The Zephyr pump must be serviced every 400 hours of running time.\n"
    "Spare part number ZP-8841 is the shaft seal.\n"
)
LIBRARY = (
    "The city library of Nordhaven opens at 9 o'clock and closes at 20 o'clock on working days.\n"
    "Membership costs 12 euros a year.\n"
)
WARRANTY = "What is the warranty of the Zephyr pump?"

Body: TypeAlias = Mapping[str, Any]


@dataclass
class Person:
    """A user with an API key, a session token, and a client that has the key."""

    id: str
    email: str
    key: str
    jwt: str
    client: httpx.Client

    def __repr__(self) -> str:
        return self.email


@dataclass
class House:
    running: Running
    stub: Stub
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    clients: list[httpx.Client] = field(default_factory=list)

    @cached_property
    def nobody(self) -> httpx.Client:
        """A client without any token."""
        return self.opened({})

    @cached_property
    def admin(self) -> Person:
        """The first account, signed up."""
        body = {"name": "Admin", "email": "admin@example.org", "password": PASSWORD}
        return self.person(good(self.nobody.post("/api/v1/auths/signup", json=body)))

    @cached_property
    def user(self) -> Person:
        """A plain user."""
        return self.new_user("Zoé")

    @cached_property
    def other(self) -> Person:
        """Another plain user."""
        return self.new_user("Bénédicte")

    def new_user(self, name: str, role: str = "user") -> Person:
        """Return a user whom the administrator has added."""
        number = next(self.numbers)
        body = {"name": name, "email": f"user{number}@example.org", "password": PASSWORD, "role": role}
        good(self.admin.client.post("/api/v1/auths/add", json=body))
        signed_in = {"email": body["email"], "password": PASSWORD}
        return self.person(good(self.nobody.post("/api/v1/auths/signin", json=signed_in)), key=role != "pending")

    def person(self, session: Body, *, key: bool = True) -> Person:
        """Return who has just signed in, with an API key unless they may have none."""
        made = session["token"]
        if key:
            bearer = {"Authorization": f"Bearer {made}"}
            made = good(self.nobody.post("/api/v1/auths/api_key", headers=bearer))["api_key"]
        self.nobody.cookies.clear()
        return Person(session["id"], session["email"], made, session["token"], self.client(made))

    def client(self, token: str) -> httpx.Client:
        return self.opened({"Authorization": f"Bearer {token}"})

    def opened(self, headers: Mapping[str, str]) -> httpx.Client:
        self.clients.append(httpx.Client(base_url=self.running.url, headers=headers, timeout=60, trust_env=False))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def upload(
        self, text: str = ZEPHYR, *, name: str = "zéphyr-{n}.txt", who: Person | None = None, **metadata: Any
    ) -> str:
        """Upload a text of its own, wait until it is processed and return the file's id."""
        number = next(self.numbers)
        answer = (who or self.admin).client.post(
            "/api/v1/files/?process_in_background=false",
            files={"file": (name.format(n=number), f"{text}n{number}".encode(), "text/plain")},
            data={"metadata": json.dumps(metadata)} if metadata else {},
        )
        assert good(answer)["data"]["status"] == "completed", answer.text
        return str(answer.json()["id"])

    def collection(self, *file_ids: str, who: Person | None = None, name: str = "Pompes") -> str:
        """Make a collection of these files and return its id."""
        client = (who or self.admin).client
        made = good(client.post("/api/v1/knowledge/create", json={"name": name, "description": "été"}))["id"]
        for file_id in file_ids:
            good(client.post(f"/api/v1/knowledge/{made}/file/add", json={"file_id": file_id}))
        return str(made)

    def directory(self, collection_id: str, name: str = "d1", who: Person | None = None) -> str:
        client = (who or self.admin).client
        made = good(client.post(f"/api/v1/knowledge/{collection_id}/dirs/create", json={"name": name}))
        return str(made["id"])

    def share(self, collection_id: str, principal: str, permission: str = "read", who: Person | None = None) -> Any:
        """Share a collection with a user, or with everybody (`*`), and return the answer's body."""
        grant = {"principal_type": "user", "principal_id": principal, "permission": permission}
        path = f"/api/v1/knowledge/{collection_id}/access/update"
        return good((who or self.admin).client.post(path, json={"access_grants": [grant]}))

    @cached_property
    def zephyr(self) -> str:
        """A file of the administrator that stays."""
        return self.upload(ZEPHYR, name="zéphyr-{n}.txt")

    @cached_property
    def library(self) -> str:
        """Another one."""
        return self.upload(LIBRARY, name="bibliothèque-{n}.txt")

    @cached_property
    def pumps(self) -> str:
        """A collection of both that stays."""
        return self.collection(self.zephyr, self.library)

    def chat(self, who: Person | None = None, /, **body: Any) -> httpx.Response:
        """Ask the echoing model; `body` is put over a question about the Zephyr pump."""
        whole = {"model": "stub-echo", "messages": [{"role": "user", "content": WARRANTY}]} | body
        return (who or self.admin).client.post("/api/chat/completions", json=whole)


def good(answer: httpx.Response) -> Any:
    """Return the body of an answer that has to be 200."""
    assert answer.status_code == httpx.codes.OK, f"{answer.request.method} {answer.request.url}: {answer.text[:500]}"
    return answer.json()


def detail(answer: httpx.Response, *statuses: int) -> str:
    """Return the text of an error that has to have one of these statuses and nothing but `detail`."""
    assert answer.status_code in statuses, f"{answer.request.method} {answer.request.url}: {answer.text[:500]}"
    body = answer.json()
    assert list(body) == ["detail"], body
    assert isinstance(body["detail"], str), body
    assert body["detail"]
    return str(body["detail"])


def invalid(answer: httpx.Response) -> Sequence[Body]:
    """Return the list of an answer to a body that is not what it should be, in FastAPI's shape."""
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, answer.text[:500]
    found: Sequence[Body] = answer.json()["detail"]
    assert isinstance(found, list), found
    assert found
    for each in found:
        assert {"type", "loc", "msg", "input"} <= set(each), each
    return found


def events_of(answer: httpx.Response) -> list[Any]:
    """Return the `data` of a stream of server-sent events, parsed where it is JSON."""
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text[:500]
    data = [line.removeprefix("data:").strip() for line in answer.text.splitlines() if line.startswith("data:")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


def lines_of(answer: httpx.Response) -> list[Any]:
    """Return the objects of a stream of lines."""
    assert answer.headers["content-type"].startswith("application/x-ndjson"), answer.text[:500]
    return [json.loads(line) for line in answer.text.splitlines() if line]
