"""What the endpoints of collections take and answer, as Open WebUI's clients and its sync client `oikb` have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Literal, NotRequired, Self

from pydantic import BaseModel, Field, JsonValue
from typing_extensions import TypedDict  # typing's knows too little for pydantic before Python 3.12

from ragline.api.wire import NO_NUL, FileData, FileMeta, FileOut, Id, Owner
from ragline.connectors.records.directories import Directory
from ragline.pipelines.choices import Choices
from ragline.types import CollectionRecord, FileRecord, Grant, Permission

MAX_GRANTS = 1000


class Member(BaseModel):
    """A file in a collection."""

    id: str
    hash: str
    meta: FileMeta
    created_at: int
    updated_at: int

    @classmethod
    def of(cls, file: FileRecord) -> Member:
        return cls(
            id=file.id,
            hash=file.sha256,
            meta=FileMeta.of(file),
            created_at=file.created_at,
            updated_at=file.updated_at,
        )


class GrantOut(BaseModel):
    """A right on a collection: `principal_id` is a user's id, or `*` for everybody; `write` includes `read`."""

    id: str
    resource_type: Literal["knowledge"] = "knowledge"
    resource_id: str
    principal_type: Literal["user"] = "user"
    principal_id: str
    permission: Permission
    created_at: int

    @classmethod
    def of(cls, grant: Grant) -> Self:
        return cls(
            id=grant.id,
            resource_id=grant.collection_id,
            principal_id=grant.user_id,
            permission=grant.permission,
            created_at=grant.created_at,
        )


class Collection(BaseModel):
    """A collection. Of `access_grants` its owner sees all, others those that give them their rights.

    `options`: how its files are read and cut, as far as it is otherwise than in the settings.
    """

    id: str
    user_id: str
    name: str
    description: str
    meta: Mapping[str, JsonValue] | None = None
    access_grants: list[GrantOut] = []
    options: Mapping[str, JsonValue] = {}
    created_at: int
    updated_at: int
    files: list[Member] | None = None

    @classmethod
    def of(cls, record: CollectionRecord, **more: object) -> Self:
        return cls.model_validate(asdict(record) | more)


class OpenCollection(Collection):
    """A collection, and whether the caller may change what is in it."""

    write_access: bool


class ListedCollection(OpenCollection):
    user: Owner | None
    file_count: int


class CollectionList(BaseModel):
    items: list[ListedCollection]
    total: int


class NewGrant(BaseModel):
    """A right to give. `principal_type` is `user`, `principal_id` a user's id or `*` for everybody."""

    principal_type: str = Field("user", max_length=50)
    principal_id: Id
    permission: Permission


class NewCollection(BaseModel):
    """With `access_grants` the collection is shared with these users and no others.

    `options` are settings of `parsing`, `chunking` and `retrieval` that are others for it; what is null is as in the
    settings. A change of them has the files read again.
    """

    name: str = Field(max_length=1000, pattern=NO_NUL, examples=["Pompes"])
    description: str = Field(max_length=10_000, pattern=NO_NUL, examples=["Manuels et garanties"])
    access_grants: list[NewGrant] | None = Field(None, max_length=MAX_GRANTS)
    options: Choices | None = Field(None, examples=[{"chunking": {"profile": "qa"}}])


class NewAccess(BaseModel):
    """All rights that others have on the collection; an empty list makes it private."""

    access_grants: list[NewGrant] = Field(
        max_length=MAX_GRANTS, examples=[[{"principal_type": "user", "principal_id": "*", "permission": "read"}]]
    )


class FileOf(BaseModel):
    """A file of a collection, or to be put into one."""

    file_id: Id


class Opened(OpenCollection):
    """A collection with the files added last; `file_count` is how many it has."""

    file_count: int


class Changed(Opened):
    """A collection after a change; `reading_again` counts the files that were queued because of its options."""

    reading_again: int


class NewDirectory(BaseModel):
    name: str
    parent_id: Annotated[str, Field(max_length=200, pattern=NO_NUL)] | None = None


class DirectoryName(BaseModel):
    name: str


class DirectoryOut(BaseModel):
    """A directory; `parent_id` is null at the top."""

    id: str
    name: str
    parent_id: str | None
    knowledge_id: str
    created_at: int
    updated_at: int

    @classmethod
    def of(cls, directory: Directory, **more: object) -> Self:
        return cls.model_validate(asdict(directory) | {"knowledge_id": directory.collection_id} | more)


class ListedDirectory(DirectoryOut):
    """A directory with its path from the top, such as `docs/api`."""

    path: str


class CollectionFile(FileOut):
    """A file of a collection, and where it lies in it: `directory_path` is empty at the top."""

    user: Owner | None
    directory_id: str | None
    directory_path: str
    has_original: bool = True


class CollectionFiles(BaseModel):
    """A page of files. `directories` lie right in the directory asked for, `breadcrumbs` lead to it from the top."""

    items: list[CollectionFile]
    directories: list[DirectoryOut]
    breadcrumbs: list[DirectoryOut]
    total: int


class PendingFile(FileOut):
    """A file that is waiting or being processed; `progress` from 0 to 1."""

    stage: str
    progress: float

    @classmethod
    def on_its_way(cls, file: FileRecord) -> PendingFile:
        plain = FileOut.of(file, data=FileData.of(file))
        return cls(**dict(plain), stage=file.stage, progress=file.progress)


class ManifestEntry(TypedDict):
    """A file of the client: `path` is that of its directory, empty at the top."""

    filename: str
    path: NotRequired[str]
    checksum: str
    size: NotRequired[int | None]


class Manifest(TypedDict):
    manifest: list[ManifestEntry]


class StaleEntry(ManifestEntry):
    """A file that changed, and the id of the one that it takes the place of."""

    stale_file_id: str


class DeletedEntry(TypedDict):
    file_id: str
    filename: str
    path: str


class Difference(TypedDict):
    """What is to be done so that the collection has what the client has.

    `mkdir` has paths, parents first; `rmdir` ids, deepest first; `directory_map` leads from path to id.
    """

    added: list[ManifestEntry]
    modified: list[StaleEntry]
    deleted: list[DeletedEntry]
    mkdir: list[str]
    rmdir: list[str]
    unmodified_count: int
    directory_map: dict[str, str]


class Cleanup(BaseModel):
    file_ids: list[Id]
    dir_ids: list[Id] | None = None


class Cleaned(BaseModel):
    status: bool = True
    deleted_files: int
    deleted_dirs: int
