"""What is tried with the ids of another user, and the exceptions, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .house import Person

MARKERS = ("Quetzalcoatl", "Ornithorynque", "Ylang")
"""Words of the other user's texts, names and metadata: no answer to anybody else may have them."""

ID_LIKE = re.compile(r"(^|_)(id|ids|collections?|collection_names?|after|before|user|key|sha256)$")
"""Places that get ids of every kind; the others, such as a title, that of a file which is for this only.

What gets a name is the caller's from then on, and is found by it: no other place may have that id.
"""

OLLAMA = {"model": "llama3.2:latest", "prompt": "Été ?", "messages": [], "input": "Été ?", "stream": False}
CHAT = {"model": "stub-echo", "messages": [{"role": "user", "content": "Combien de temps ?"}]}
OWN_BODIES: Mapping[str, Callable[[Mapping[str, str]], Any]] = {
    "POST /api/chat/completions": lambda _: CHAT,
    "POST /api/v1/chat/completions": lambda _: CHAT,
    "POST /v1/chat/completions": lambda _: CHAT,
    "POST /api/v1/retrieval/search": lambda own: {"query": "secret", "files": [{"type": "file", "id": own["file_id"]}]},
    "POST /v1/vector_stores/{vector_store_id}/file_batches": lambda own: {"file_ids": [own["file_id"]]},
    "POST /api/v1/knowledge/{collection_id}/sync/diff": lambda _: {"manifest": []},
    "POST /api/v1/knowledge/{collection_id}/sync/cleanup": lambda _: {"file_ids": []},
    "POST /api/v1/retrieval/process/files/batch": lambda own: {
        "files": [{"id": own["file_id"]}],
        "collection_name": own["collection_name"],
    },
} | {
    f"POST /ollama/api/{path}{index}": lambda _: OLLAMA
    for path in ("generate", "chat", "embed", "embeddings", "show")
    for index in ("", "/{index}")
}
"""Bodies that the description does not tell exactly enough: which of two keys, or nothing that is lost when sent."""

NO_IDS: Mapping[str, str] = {
    "POST /api/v1/auths/signin": "an address and a password; failures are counted, so they are not tried here",
    "POST /api/v1/auths/signup": "makes an account",
    "POST /api/v1/auths/signout": "takes the token only",
    "POST /api/v1/auths/update/password": "passwords only; failures are counted",
    "POST /api/v1/auths/api_key": "no body",
    "DELETE /api/v1/auths/api_key": "the caller's own key",
    "DELETE /api/v1/files/all": "for administrators; takes no id",
    "POST /api/v1/audit": "for administrators; takes no id",
    "POST /api/v1/files": "a form: see test_an_upload_into_what_is_another_s",
    "POST /v1/files": "a form without any id",
}
"""Routes that change something and have no place for an id."""

NO_COUNTING = "the model server of the tests cannot count tokens"
NOT_CONTROLLED: Mapping[str, str] = {
    "POST /api/v1/messages/count_tokens": NO_COUNTING,
    "POST /api/message/count_tokens": NO_COUNTING,
    "POST /v1/messages/count_tokens": NO_COUNTING,
    "POST /api/v1/retrieval/process/web": "pages are fetched from the public internet only",
}
"""Routes whose own request does not succeed here, and why."""

TOLD: Mapping[str, str] = {
    r"body\.access_grants\.0\.principal_id.* = user$": "who shares with a user has to be told that there is none",
}
"""Places where an answer tells that an id is somebody's, and why it has to."""

PROSE = ("content", "text", "before", "query")
"""Keys of what the caller writes themselves: an answer depends on its language, not on what an id in it names."""

NAME = "name"
"""The kind of the id that stands where no id does."""

LOSING = re.compile(r"delete|remove|reset|cleanup|cancel", re.IGNORECASE)
"""Routes after which the caller's own things may be gone."""


@dataclass(frozen=True)
class Foreign:
    """An id of another user, and one of the same form that nobody has."""

    kind: str
    id: str
    unknown: str


@dataclass(frozen=True)
class Pair:
    owner: Person
    caller: Person
    foreign: list[Foreign]
    theirs: Mapping[str, Any]
    """What the owner sees of their own, before anybody tries to get at it."""
