"""What the endpoints of collections take and answer, as Open WebUI's clients and its sync client `oikb` have it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, NotRequired, Self

from fastapi import Path
from pydantic import BaseModel, Field
from typing_extensions import TypedDict  # typing's knows too little for pydantic before Python 3.12

from ragline.api.wire import FileData, FileOut, OpenCollection, Owner
from ragline.connectors.records.directories import Directory
from ragline.types import FileRecord

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL takes no NUL in a text."""

Id = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
PathId = Annotated[str, Path(max_length=200, pattern=NO_NUL)]


class NewCollection(BaseModel):
    name: str = Field(max_length=1000, pattern=NO_NUL)
    description: str = Field(max_length=10_000, pattern=NO_NUL)


class FileOf(BaseModel):
    """A file of a collection, or to be put into one."""

    file_id: Id


class Opened(OpenCollection):
    """A collection with the files added last; `file_count` is how many it has."""

    file_count: int


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
        plain = FileOut.of(file, data=FileData(status=file.status, error=file.error))
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
