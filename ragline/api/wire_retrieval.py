"""What the routes of retrieval take and answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from ragline.api.wire import NO_NUL, Id
from ragline.api.wire_chat import WebUrl

MAX_K = 200
MAX_COLLECTIONS = 256
MAX_BATCH = 1000
"""Files in one batch."""

COLLECTION = "garanties"
SENTENCE = "La garantie de la pompe Zéphyr est de 27 mois."

CollectionName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        pattern=NO_NUL,
        description="`file-` and the id of a file, the id of a collection, or the name of one of the caller's own.",
        examples=[COLLECTION],
    ),
]
Target = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=256,
        pattern=NO_NUL,
        description="Id of a collection, or the name of one of the caller's own, made where there is none.",
        examples=[COLLECTION],
    ),
]
K = Annotated[int, Field(strict=True, ge=0, le=MAX_K, description="Passages at most; 0: the setting retrieval.top_k.")]
Hybrid = Annotated[bool | None, Field(strict=True, description="`false`: by meaning only; else by words, too.")]
Content = Annotated[str, Field(pattern=r"^[^\x00]*[^\s\x00][^\x00]*$", examples=[SENTENCE])]


class Query(BaseModel):
    query: str = Field(examples=["durée de la garantie"])
    k: K | None = None
    hybrid: Hybrid = None


class DocumentQuery(Query):
    collection_name: CollectionName


class CollectionsQuery(Query):
    collection_names: list[CollectionName] = Field(max_length=MAX_COLLECTIONS)


class Passages(BaseModel):
    """Lists of the same length inside one list each, best first; `distances` are (1 + cosine) / 2, bigger is nearer.

    They fall: where words moved a passage up that is less near, those after it are given its distance. The scores of
    each are in what `/api/v1/retrieval/search` answers.
    """

    distances: list[list[float]]
    documents: list[list[str]]
    metadatas: list[list[dict[str, JsonValue]]]


class DocumentPassages(Passages):
    """The same with the ids of the passages."""

    ids: list[list[str]]


class NewText(BaseModel):
    name: str = Field(min_length=1, max_length=1000, examples=["note"])
    content: Content
    collection_name: Target = None


class KnownFile(BaseModel):
    file_id: Id
    content: Content | None = None
    collection_name: Target = None


class NewPage(BaseModel):
    url: WebUrl
    collection_name: Target = None


class Processed(BaseModel):
    """A file that can be searched, in `collection_name`; `content` is its text."""

    status: Literal[True] = True
    collection_name: str
    filename: str
    file_id: str
    content: str


class ByFileId(BaseModel):
    file_id: Id


class ById(BaseModel):
    """A file as lists of files have it."""

    id: Id

    @property
    def file_id(self) -> str:
        return self.id


class Batch(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"files": [{"file_id": "your-file-id-here"}], "collection_name": COLLECTION}]}
    )
    files: list[ByFileId | ById] = Field(max_length=MAX_BATCH)
    collection_name: Annotated[str, Field(min_length=1, max_length=256, pattern=NO_NUL)]


class BatchResult(BaseModel):
    """How a file of a batch stands: it is in the collection, and found there once it is `completed`."""

    file_id: str
    status: Literal["pending", "processing", "completed", "failed"]
    error: str | None = None


class BatchDone(BaseModel):
    """`errors` are those of the files that were not put into the collection."""

    collection_name: str
    results: list[BatchResult]
    errors: list[BatchResult]


class Leaving(BaseModel):
    collection_name: CollectionName
    file_id: Id


class Left(BaseModel):
    """`status`: whether the file was in the collection."""

    status: bool


class RetrievalConfig(BaseModel):
    """How documents are cut and searched, in the words of Open WebUI and in those of the settings."""

    status: Literal[True] = True
    TOP_K: int
    CHUNK_SIZE: int = Field(description="In tokens of the embedding model.")
    CHUNK_OVERLAP: int
    TEXT_SPLITTER: Literal["token"] = "token"
    ENABLE_RAG_HYBRID_SEARCH: Literal[True] = True
    FILE_MAX_SIZE: int = Field(description="In MiB.")
    ALLOWED_FILE_EXTENSIONS: list[str] = Field(description="Those with a parser of their own; other text is read, too.")
    retrieval: dict[str, JsonValue]
    chunking: dict[str, JsonValue]
    parsing: dict[str, JsonValue]


class EmbeddingConfig(BaseModel):
    """The embedding model; keys and passwords are left out."""

    status: Literal[True] = True
    RAG_EMBEDDING_ENGINE: str
    RAG_EMBEDDING_MODEL: str
    RAG_EMBEDDING_BATCH_SIZE: int
    model_id: str
    dimension: int
    max_tokens: int
    url: str | None
