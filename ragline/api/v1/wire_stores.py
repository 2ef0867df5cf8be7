"""What the endpoints of vector stores take and answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from ragline.api.v1.wire import Attributes, BodyId, GivenAttributes, Listed, NotDone
from ragline.api.wire import NO_NUL
from ragline.connectors.records.attributes import attributes_of
from ragline.connectors.records.listings import Linked, State, Tally, state_of
from ragline.errors import BadInput
from ragline.types import CollectionRecord, FileRecord

MAX_BATCH = 2000

Name = Annotated[str, Field(max_length=1000, pattern=NO_NUL)]
FileIds = Annotated[list[BodyId], Field(max_length=MAX_BATCH)]


class NewStore(NotDone):
    """A vector store to be made: one of the caller's collections."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Pompes à chaleur", "file_ids": ["your-file-id-here"]}]}
    )
    name: Name | None = None
    description: Annotated[str, Field(max_length=10_000, pattern=NO_NUL)] | None = None
    file_ids: FileIds | None = None
    metadata: dict[str, JsonValue] | None = None

    def check(self) -> None:
        super().check()
        check_metadata(self.metadata)


class StoreChange(NotDone):
    """What is to be different: null leaves it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Pompes à chaleur, 2024"}]})
    name: Name | None = None
    metadata: dict[str, JsonValue] | None = None

    def check(self) -> None:
        super().check()
        check_metadata(self.metadata)


def check_metadata(metadata: dict[str, JsonValue] | None) -> None:
    if metadata:
        raise BadInput(
            "metadata: a store has a name and a description, and no metadata; leave it out, "
            "or give the files attributes, by which they can be filtered"
        )


class FileCounts(BaseModel):
    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0

    @classmethod
    def of(cls, tally: Tally) -> FileCounts:
        counts = tally.counts
        return cls.model_validate({**counts, "total": sum(counts.values())})


class VectorStore(BaseModel):
    """A collection. `usage_bytes` are those of its files as they were uploaded, `last_active_at` its last change."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str
    description: str
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["in_progress", "completed"]
    expires_after: None = None
    expires_at: None = None
    last_active_at: int
    metadata: dict[str, str] = {}

    @classmethod
    def of(cls, record: CollectionRecord, tally: Tally) -> VectorStore:
        return cls(
            id=record.id,
            created_at=record.created_at,
            name=record.name,
            description=record.description,
            usage_bytes=tally.size_bytes,
            file_counts=FileCounts.of(tally),
            status="in_progress" if tally.counts.get("in_progress") else "completed",
            last_active_at=record.updated_at,
        )


class VectorStores(Listed):
    data: list[VectorStore]


class StoreDeleted(BaseModel):
    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: bool = True


class NewStoreFile(NotDone):
    """A file to be put into a store."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"file_id": "your-file-id-here", "attributes": {"année": 2024}}]}
    )
    file_id: BodyId
    attributes: Attributes | None = None


class AttributesChange(BaseModel):
    """All attributes that a file is to have; null and `{}` take them away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"attributes": {"année": 2024, "lang": "fr"}}]})
    attributes: Attributes | None


class LastError(BaseModel):
    code: Literal["server_error", "invalid_file"]
    message: str


class StoreFile(BaseModel):
    """A file in a store. Its attributes are the file's own, the same in whatever stores it is."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    usage_bytes: int
    status: State
    last_error: LastError | None
    attributes: GivenAttributes
    chunking_strategy: dict[str, str] = {"type": "other"}

    @classmethod
    def of(cls, linked: Linked, store_id: str) -> StoreFile:
        file = linked.file
        return cls(
            id=file.id,
            created_at=linked.linked_at,
            vector_store_id=store_id,
            usage_bytes=file.size_bytes,
            status=state_of(file),
            last_error=last_error(file),
            attributes=attributes_of(file.metadata),
        )


def last_error(file: FileRecord) -> LastError | None:
    if file.error is None:
        return None
    return LastError(code="invalid_file" if file.failure == "permanent" else "server_error", message=file.error)


class StoreFiles(Listed):
    data: list[StoreFile]


class StoreFileDeleted(BaseModel):
    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: bool = True


class Text(BaseModel):
    type: Literal["text"] = "text"
    text: str


class FileContent(BaseModel):
    """The text that was extracted from a file."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[Text]
    has_more: bool = False
    next_page: None = None
