"""What each example of the contract presupposes, and where our answer is another on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .house import PASSWORD, House


def nothing(_: House) -> list[str]:
    return []


@dataclass(frozen=True)
class Case:
    """`ids` makes what is there before and returns the ids in the order in which the request names them.

    `status` is ours where it is not the example's, `why` the line of the contract that says so. With `end` only the
    last events of a stream are compared, as many as the example has.
    """

    ids: Callable[[House], list[str]] = nothing
    status: int | None = None
    why: str = ""
    end: bool = False


def zephyr(house: House) -> list[str]:
    return [house.zephyr]


def pumps(house: House) -> list[str]:
    return [house.pumps]


def new_file(house: House) -> list[str]:
    return [house.upload()]


def empty(house: House) -> list[str]:
    return [house.collection()]


def full(house: House) -> list[str]:
    return [house.collection(house.upload())]


def member(house: House) -> list[str]:
    file_id = house.upload()
    return [house.collection(file_id), file_id]


def member_and_another(house: House) -> list[str]:
    file_id = house.upload()
    return [house.collection(file_id, house.zephyr), file_id]


def collection_and_file(house: House) -> list[str]:
    return [house.collection(), house.upload()]


def collection_and_files(house: House) -> list[str]:
    return [house.collection(), house.upload(), house.upload()]


def shared(house: House) -> list[str]:
    made = house.collection(house.upload())
    house.share(made, "*")
    return [made]


def with_a_directory(house: House) -> list[str]:
    made = house.collection(house.upload(), house.upload())
    house.directory(made, "d1")
    return [made]


def named_zephyr(house: House) -> list[str]:
    """A file that the search of the example finds; the request names no id."""
    house.upload(name="zephyr-{n}.txt")
    return []


def some_file(house: House) -> list[str]:
    assert house.zephyr
    return []


def named_collection(house: House) -> list[str]:
    house.collection(name="KB ce7a91")
    return []


def waiting(house: House) -> list[str]:
    """A file that was just uploaded, and is long enough to take a moment."""
    text = "".join(f"Line {number}: the Zephyr pump hums in A flat.\n" for number in range(200))
    files = {"file": ("long.txt", text.encode(), "text/plain")}
    return [str(house.admin.client.post("/api/v1/files/", files=files).json()["id"])]


UNKNOWN_404 = "one thing, many statuses: 404 unknown or not visible to the caller"
SILENT_404 = "a reference that names nothing: 404 naming it"

SPECIAL: Mapping[str, Case] = {
    "anthropic-unknown-model": Case(status=404, why=UNKNOWN_404),
    "auth-user2-apikey-create": Case(status=200, why="several named keys a user, shown once"),
    "chat-unknown-model": Case(status=404, why=UNKNOWN_404),
    "chat-upstream-stub-drop-stream": Case(end=True, why="what came before the loss is passed on, as it comes"),
    "files-content": Case(zephyr),
    "files-data-content": Case(zephyr),
    "files-data-content-update": Case(new_file),
    "files-delete": Case(new_file),
    "files-get": Case(zephyr),
    "files-list": Case(some_file),
    "files-list-nocontent": Case(some_file),
    "files-other-get": Case(zephyr),
    "files-rename": Case(new_file),
    "files-search": Case(named_zephyr),
    "files-search-none": Case(status=200, why="a search without a hit: 200, empty list"),
    "files-status-after": Case(zephyr),
    "files-status-stream": Case(waiting),
    "knowledge-add": Case(collection_and_file),
    "knowledge-add-again": Case(member),
    "knowledge-add-unknown-file": Case(empty, status=404, why=UNKNOWN_404),
    "knowledge-add-unknown-kb": Case(zephyr, status=404, why=UNKNOWN_404),
    "knowledge-batch-add": Case(collection_and_files),
    "knowledge-delete": Case(full),
    "knowledge-file-remove": Case(member_and_another),
    "knowledge-file-update": Case(member),
    "knowledge-files": Case(full),
    "knowledge-get": Case(full),
    "knowledge-list": Case(named_collection),
    "knowledge-reset": Case(shared),
    "knowledge-search": Case(named_collection),
    "knowledge-sync-diff": Case(with_a_directory),
    "knowledge-update": Case(full),
    "ollama-embed": Case(status=200, why="a name without its tag is the same model, as for chats and for Ollama"),
    "ollama-generate-unknown": Case(status=404, why=UNKNOWN_404),
    "rag-collection": Case(pumps),
    "rag-collection-stream": Case(pumps),
    "rag-file": Case(zephyr),
    "rag-file-and-collection": Case(lambda house: [house.library, house.pumps]),
    "rag-file-stream": Case(zephyr),
    "rag-full-context": Case(zephyr),
    "rag-ollama-model": Case(zephyr),
    "rag-same-file-twice": Case(zephyr),
    "rag-two-files": Case(lambda house: [house.zephyr, house.library]),
    "rag-unknown-file": Case(status=404, why=SILENT_404),
    "retrieval-query-collection": Case(pumps),
    "retrieval-query-collection-k": Case(pumps),
    "retrieval-query-doc": Case(zephyr),
    "retrieval-query-doc-unknown": Case(status=404, why="query/doc on an unknown collection: 404"),
}
"""The examples that need more than a server with an administrator."""

TOKENS: Mapping[str, Callable[[House], str]] = {
    "<TOKEN>": lambda house: house.admin.key,
    "<TOKEN2>": lambda house: house.user.key,
    "<JWT>": lambda house: house.admin.jwt,
    "<API_KEY>": lambda _: f"sk-{'0123456789abcdef' * 2}",
}

assert PASSWORD == "Adm1n-password"  # the one that the example of a sign-in has
