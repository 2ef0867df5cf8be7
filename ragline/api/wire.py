"""What the endpoints answer, as Open WebUI's clients read it."""

from __future__ import annotations

from typing import Annotated, Any, Self

from fastapi import Form, Path, Query
from pydantic import BaseModel, Field, JsonValue

from ragline.connectors.sealed import MAX_PASSWORD_CHARS
from ragline.types import Failure, FileRecord, Model, Status, User

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL takes no NUL in a text."""

Id = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
Password = Annotated[
    str | None,
    Form(
        max_length=MAX_PASSWORD_CHARS,
        pattern=NO_NUL,
        description="What opens the document, and what is in it; it is stored sealed and never shown.",
        json_schema_extra={"format": "password", "writeOnly": True},
    ),
]
PathId = Annotated[str, Path(max_length=200, pattern=NO_NUL)]

EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON, or a stream of it.",
        "content": {
            "text/event-stream": {"schema": {"type": "object", "properties": {"data": {"type": "string"}}}},
        },
    }
}
"""For routes that also answer with server-sent events."""

Page = Annotated[int, Query(ge=1, le=1_000_000, description="Counts from 1.")]


class ModelOut(BaseModel):
    """A model; what its back end said of it is under `ollama` or `openai`, by its wire format."""

    id: str
    name: str
    object: str = "model"
    created: int
    owned_by: str
    connection_type: str
    backend: str
    alias_of: str | None = None
    ollama: dict[str, JsonValue] | None = None
    openai: dict[str, JsonValue] | None = None
    urlIdx: int = 0
    tags: list[str] = []
    actions: list[str] = []
    filters: list[str] = []

    @classmethod
    def of(cls, model: Model) -> ModelOut:
        plain = {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}
        titled = model.owned_by == "function" and model.alias_of is None
        said = {("ollama" if model.owned_by == "ollama" else "openai"): model.details or plain}
        return cls.model_validate(
            said
            | {
                "id": model.id,
                "name": model.details.get("name", model.id) if titled else model.id,
                "created": model.created,
                "owned_by": model.owned_by,
                "connection_type": "external" if model.owned_by == "openai" else "local",
                "backend": model.backend,
                "alias_of": model.alias_of,
            }
        )


class FileMeta(BaseModel):
    name: str
    content_type: str
    size: int
    file_hash: str
    data: dict[str, JsonValue]
    collection_name: str

    @classmethod
    def of(cls, file: FileRecord) -> FileMeta:
        return cls.model_validate(
            {
                "name": file.filename,
                "content_type": file.content_type,
                "size": file.size_bytes,
                "file_hash": file.sha256,
                "data": dict(file.metadata),
                "collection_name": f"file-{file.id}",
            }
        )


class FileData(BaseModel):
    """How a file stands; `content` is its extracted text, where it was asked for.

    `notes` name what is not in that text and why, such as pages that could not be recognised; `about` is what the
    document says of itself: `title`, `author`, `from`, `date`, `pages` and the like.
    """

    status: Status
    content: str | None = None
    error: str | None = None
    notes: list[str] = []
    about: dict[str, JsonValue] = {}

    @classmethod
    def of(cls, file: FileRecord) -> FileData:
        """Return how a file stands, without its text."""
        return cls.model_validate({"status": file.status, "error": file.error, **read_of(file)})


def read_of(file: FileRecord) -> dict[str, object]:
    """Return the `notes` and `about` of what was read of a file, as far as there are any."""
    return {name: said for name in ("notes", "about") if (said := file.document.get(name))}


class FileOut(BaseModel):
    """A file. `hash` is the SHA-256 of its bytes; `path` is its name in the store of bytes."""

    id: str
    user_id: str
    hash: str | None
    filename: str
    data: FileData
    meta: FileMeta
    created_at: int
    updated_at: int
    path: str

    @classmethod
    def of(cls, file: FileRecord, *, data: FileData) -> Self:
        return cls(
            id=file.id,
            user_id=file.user_id,
            hash=file.sha256,
            filename=file.filename,
            data=data,
            meta=FileMeta.of(file),
            created_at=file.created_at,
            updated_at=file.updated_at,
            path=file.blob,
        )


class Uploaded(FileOut):
    """A file that was stored just now; its `hash` comes with the processing."""

    status: bool = True


class Deleted(BaseModel):
    message: str


class Content(BaseModel):
    """The extracted text of a file."""

    content: str


class NewContent(BaseModel):
    """A text that takes the place of the one that was extracted."""

    content: str = Field(pattern=NO_NUL, examples=["La garantie de la pompe Zéphyr est de 31 mois."])


class NewPassword(BaseModel):
    """What opens a document."""

    password: str = Field(min_length=1, max_length=MAX_PASSWORD_CHARS, pattern=NO_NUL, repr=False, examples=["été 26"])


class NewName(BaseModel):
    filename: str = Field(min_length=1, max_length=1000, examples=["Garantie pompe Zéphyr.pdf"])


class FileList(BaseModel):
    items: list[FileOut]
    total: int


class ProcessStatus(BaseModel):
    """How far the processing of a file is: `progress` from 0 to 1, `flow_run_url` in the Prefect UI.

    `position` is the place in the queue from 1. `failure` tells why it failed: `permanent`, `exhausted` (tried
    `attempts` times; can be retried) or `cancelled`. `searchable`: a version of it answers, if an older one. `notes`
    name what is not in the text of that version and why, `about` is what the document says of itself.
    """

    status: Status
    stage: str
    progress: float
    error: str | None
    failure: Failure | None
    attempts: int
    position: int | None
    searchable: bool
    flow_run_id: str | None
    flow_run_url: str | None
    notes: list[str] = []
    about: dict[str, JsonValue] = {}

    @classmethod
    def of(cls, file: FileRecord, *, position: int | None, runs_url: str | None) -> ProcessStatus:
        run = file.flow_run_id
        return cls.model_validate(
            {
                "status": file.status,
                "stage": file.stage,
                "progress": file.progress,
                "error": file.error,
                "failure": file.failure,
                "attempts": file.attempts,
                "position": position,
                "searchable": file.version is not None,
                "flow_run_id": run,
                "flow_run_url": f"{runs_url}/runs/flow-run/{run}" if run and runs_url else None,
                **read_of(file),
            }
        )


class Owner(BaseModel):
    id: str
    name: str
    role: str
    email: str

    @classmethod
    def of(cls, user: User) -> Owner:
        return cls(id=user.id, name=user.name, role=user.role, email=user.email)
