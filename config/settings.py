"""Every setting of Ragline with its default: one frozen tree, read once at an edge and passed inward."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, JsonValue, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class Section(BaseModel):
    """A group of settings: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Server(Section):
    """Where the HTTP API listens and how much it accepts."""

    host: str = Field("127.0.0.1", description="Address to listen on; only loopback is allowed while auth is off.")
    port: int = Field(3000, ge=0, le=65535, description="Port of the API; 0 takes a free one.")
    max_upload_bytes: int = Field(1 << 30, gt=0, description="Largest file accepted, in bytes.")
    max_json_bytes: int = Field(64 << 20, gt=0, description="Largest request that is not an upload, in bytes.")
    ready_wait_s: float = Field(
        60.0, ge=0, description="How long a chat waits for a file that is still being processed, in seconds."
    )


class Auth(Section):
    """Who may call the API."""

    enabled: bool = Field(True, description="Off: no token is needed, everyone is the administrator; loopback only.")
    bootstrap_key: SecretStr | None = Field(
        None, description="API key of the first administrator; without it one is made and shown once."
    )
    jwt_secret: SecretStr | None = Field(
        None,
        description="Signs session tokens, seals passwords of documents; without it one is made in the data folder.",
    )
    session_days: float = Field(28.0, gt=0, description="How long a session token is valid, in days.")
    signup: Literal["first", "closed", "open"] = Field(
        "first",
        description="first: the first account signed up is the administrator, then it closes; open: it stays open.",
    )
    default_role: Literal["pending", "user"] = Field(
        "pending", description="Role of who signs up; pending: an administrator admits them."
    )
    max_failures: int = Field(
        10, gt=0, description="Failed sign-ins to one account, or from one address, before more are answered 429."
    )
    failure_window_s: float = Field(300.0, gt=0, description="For how long a failed sign-in counts, in seconds.")


class Database(Section):
    """Where the records live."""

    url: SecretStr | None = Field(
        None, description="SQLAlchemy URL, such as postgresql+asyncpg://…; without it SQLite in the data folder."
    )


class Blobs(Section):
    """Where the bytes of files live."""

    url: str | None = Field(None, description="fsspec URL, such as s3://bucket/prefix; without it the data folder.")


class Vectors(Section):
    """Where the vectors live."""

    url: str | None = Field(None, description="URL of a Qdrant server; without it the engine runs in this process.")
    api_key: SecretStr | None = Field(None, description="API key of the Qdrant server.")
    timeout_s: float = Field(30.0, gt=0, description="Longest wait for the Qdrant server, in seconds.")


class Embedder(Section):
    """The model that turns passages and questions into vectors."""

    kind: Literal["packaged", "folder", "ollama", "openai"] = Field(
        "packaged", description="packaged: multilingual-e5-small; folder: an ONNX model of yours; or a server."
    )
    model: str = Field("multilingual-e5-small", description="Name of the model, as its server knows it.")
    path: Path | None = Field(None, description="Folder of the model with tokenizer.json and model.onnx, for folder.")
    query_prefix: str | None = Field(None, description="Put before each question; packaged has its own.")
    passage_prefix: str | None = Field(None, description="Put before each passage; packaged has its own.")
    runtime: Literal["auto", "openvino", "onnxruntime"] = Field(
        "auto", description="What calculates packaged and folder; auto: the faster one on this processor."
    )
    url: str | None = Field(None, description="Base URL of the server, for ollama and openai.")
    api_key: SecretStr | None = Field(None, description="API key of the server.")
    threads: int = Field(0, ge=0, description="Threads of packaged and folder; 0 means one per core.")
    batch_size: int = Field(16, gt=0, le=512, description="Texts embedded in one call of the model.")
    timeout_s: float = Field(120.0, gt=0, description="Longest wait for the server, in seconds.")


Engine = Literal["auto", "fast", "unstructured"]
"""Which library reads a document: the fast one of its type, unstructured, or the second where the first fails."""

Profile = Literal["auto", "prose", "code", "table", "qa"]
"""How a document is cut; auto: by what each part of it is."""


class Parsing(Section):
    """The worker processes that read files, and their limits."""

    engine: Engine = Field(
        "auto",
        description="fast: the fastest good library for each type; unstructured; auto: fast, then unstructured.",
    )
    ocr: bool = Field(True, description="Recognise the text of scanned pages and images, where tesseract is installed.")
    ocr_languages: tuple[str, ...] = Field(
        ("fra", "eng"), min_length=1, description="Languages of scanned pages, by tesseract's names."
    )
    workers: int = Field(2, gt=0, le=64, description="Files, or parts of a long one, parsed at the same time.")
    memory_mb: int = Field(2048, ge=256, description="Memory one worker may use, in MiB.")
    time_limit_s: float = Field(
        120.0, gt=0, description="Longest time one file, or each part of a long one, may take, in seconds."
    )
    cpu_limit_s: float = Field(240.0, gt=0, description="The same in seconds of CPU, of all threads together.")
    max_text_chars: int = Field(50_000_000, gt=0, description="Most text in one file, in characters.")
    max_pages: int = Field(20_000, gt=0, description="Most pages, slides or sheets in one file.")
    max_members: int = Field(2_000, gt=0, description="Most files in one archive or mail, at all depths.")
    max_unpacked_mb: int = Field(1024, gt=0, description="Most that one file may unpack to, in MiB.")
    max_disk_mb: int = Field(2048, gt=0, description="Most that a worker may write to a temporary file, in MiB.")


class Queue(Section):
    """Files that wait to be ingested."""

    max_waiting: int = Field(10_000, gt=0, description="Files that may wait; an upload beyond them is answered 429.")
    max_attempts: int = Field(
        12, gt=0, description="Times a file is tried when services fail or processes die, before it is given up."
    )
    retry_s: float = Field(
        5.0, gt=0, description="Pause before the second try, in seconds; it doubles from try to try."
    )
    max_retry_s: float = Field(3600.0, gt=0, description="Longest pause between two tries, in seconds.")
    time_limit_s: float = Field(3600.0, gt=0, description="Longest time one file may take in all, in seconds.")
    small_file_bytes: int = Field(
        256 << 10, gt=0, description="Files up to this size never wait for longer ones, in bytes."
    )


def source_name(name: str) -> str:
    """Return the name of a source: it is one in Prefect, in folders and on the command line, so it is plain."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", name):
        raise ValueError(f"{name!r} is no name for a source: use a-z, 0-9, - and _, at most 63, as in 'dossier-ete'")
    return name


class Source(Section):
    """A place that documents are taken from, again and again."""

    name: Annotated[str, AfterValidator(source_name)] = Field(
        description="Name in commands and runs, unique: a-z, 0-9, - and _, at most 63."
    )
    kind: str = Field(description="folder, web, feed, git, fsspec (s3 and others), or one that a package adds.")
    location: str | tuple[str, ...] = Field(description="Folder, address or addresses.")
    collection: str = Field(min_length=1, description="Name of the collection; it is made where there is none.")
    include: tuple[str, ...] = Field(("**",), description="Paths to take, patterns as in .gitignore.")
    exclude: tuple[str, ...] = Field((), description="Paths to leave out, patterns as in .gitignore.")
    cron: str | None = Field(None, description="When to sync, five fields as in crontab.")
    interval_s: float | None = Field(None, ge=10, description="Or how often, in seconds.")
    timezone: str = Field("UTC", description="Time zone of cron, such as Europe/Paris.")
    watch: bool = Field(False, description="Sync also as soon as something changes (folder).")
    on_delete: Literal["delete", "keep"] = Field("delete", description="What becomes of files the source has no more.")
    max_delete_share: float = Field(
        0.5, ge=0, le=1, description="A sync that would delete more of its files than this share stops."
    )
    allow_private: bool = Field(False, description="Allow addresses in private networks (web, feed, git).")
    options: dict[str, JsonValue] = Field({}, description="What only this kind knows.")
    secrets: dict[str, SecretStr] = Field({}, description="The same for passwords and keys.")


class Quotas(Section):
    """What each user may have who is no administrator; without a number there is no limit."""

    max_files: int | None = Field(None, gt=0, description="Files of one user.")
    max_bytes: int | None = Field(None, gt=0, description="Bytes of all files of one user.")
    max_tokens_per_day: int | None = Field(
        None, gt=0, description="Tokens, prompts and answers together, from midnight to midnight UTC."
    )


class Events(Section):
    """The log of who did what, without contents."""

    enabled: bool = Field(True, description="Write down every request that changes something or asks a model.")
    keep_days: float = Field(90.0, gt=0, description="Older entries are deleted, in days.")


class Chunking(Section):
    """How documents are cut into passages."""

    profile: Profile = Field(
        "auto", description="prose, code, table, qa (questions with their answers), or auto: by what each part is."
    )
    max_tokens: int = Field(256, ge=16, le=384, description="Longest passage, in tokens of the embedding model.")
    overlap_tokens: int = Field(32, ge=0, le=250, description="Tokens a passage repeats of the one before.")
    prefix: bool = Field(
        True, description="Embed the file's name and the titles above a passage with it; they are not shown."
    )


Fusion = Literal["distribution", "minmax", "rrf"]
"""How the dense and the lexical order of passages become one."""


class Retrieval(Section):
    """How passages are found and put before the model."""

    top_k: int = Field(8, gt=0, le=200, description="Passages put before the model.")
    candidates: int = Field(50, gt=0, le=1000, description="Passages each of the two searches brings to the fusion.")
    fusion: Fusion = Field(
        "distribution",
        description="distribution: scores by their mean and spread; minmax: by their range; rrf: by ranks alone.",
    )
    dense_weight: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Weight of meaning, the rest is of words; without it as calibrated for the collection, else 0.5.",
    )
    calibrate: bool = Field(True, description="Calibrate the dense_weight of each collection from its own passages.")
    bm25_k1: float = Field(1.2, ge=0, le=10, description="BM25: how much a word counts that occurs again.")
    bm25_b: float = Field(0.75, ge=0, le=1, description="BM25: how much long passages count less.")
    min_relevance: float = Field(
        0.05, ge=0, le=1, description="Where no passage is as relevant by estimate, nothing is found; 0: never."
    )
    diversity: float = Field(
        0.0, ge=0, le=1, description="Maximal marginal relevance: how much passages unlike those before are preferred."
    )
    recency: float = Field(0.0, ge=0, le=1, description="How much younger files are preferred.")
    recency_half_life_days: float = Field(
        180.0, gt=0, description="A file of this age has half of the preference of a new one, in days."
    )
    follow_up: Literal["off", "recent", "model"] = Field(
        "recent",
        description="Questions that need those before: recent: they are searched for too; model: it rewrites them.",
    )
    follow_up_timeout_s: float = Field(20.0, gt=0, description="Longest wait for the model to rewrite, in seconds.")
    context_tokens: int = Field(3000, gt=0, description="Most tokens of passages put before the model.")
    full_tokens: int = Field(
        32_000, gt=0, description="Most tokens of whole documents in one chat, for references that ask for all of it."
    )
    surroundings: Literal["none", "window", "parent"] = Field(
        "window", description="What is added to a passage: window: its neighbours; parent: its section; as room allows."
    )
    order: Literal["score", "document"] = Field(
        "score", description="Order of the passages before the model: the best first, or as in their documents."
    )
    check_citations: bool = Field(True, description="Check whether what an answer cites is in the cited passages.")


class Reranker(Section):
    """A model that reads question and passage together and orders the best candidates anew."""

    kind: Literal["none", "folder", "http"] = Field(
        "none", description="folder: an ONNX cross-encoder of yours; http: a server with /rerank."
    )
    model: str | None = Field(None, description="Name of the model, as its server knows it.")
    path: Path | None = Field(None, description="Folder of the model with tokenizer.json and model.onnx, for folder.")
    url: str | None = Field(None, description="Base URL of the server, for http: /rerank is put behind it.")
    api_key: SecretStr | None = Field(None, description="API key of the server.")
    candidates: int = Field(30, gt=0, le=200, description="The best passages that are ordered anew.")
    timeout_s: float = Field(
        3.0, gt=0, description="Longest wait, in seconds; after it the order before counts, and the answer says so."
    )
    threads: int = Field(0, ge=0, description="Threads of folder; 0 means one per core.")


class Evaluation(Section):
    """A set of questions that a scheduled run asks, to see whether retrieval is as good as it was."""

    name: Annotated[str, AfterValidator(source_name)] = Field(
        description="Name in commands and runs, unique: a-z, 0-9, - and _, at most 63."
    )
    path: Path = Field(description="A golden set (CSV, JSONL), or a folder in BEIR's layout.")
    collection: str | None = Field(None, description="Name of the collection that is asked, for golden sets.")
    cron: str | None = Field(None, description="When to run, five fields as in crontab.")
    timezone: str = Field("UTC", description="Time zone of cron, such as Europe/Paris.")
    fail_under: float | None = Field(None, ge=0, le=1, description="The run fails where nDCG@10 is less.")


class Connection(Section):
    """A back end that serves models."""

    name: str = Field(description="Name in messages, unique.")
    kind: Literal["ollama", "openai", "embedded", "functions"] = Field(description="Wire format of the back end.")
    url: str | None = Field(None, description="Base URL; for openai it ends in /v1.")
    api_key: SecretStr | None = Field(None, description="Key sent to the back end.")
    prefix: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]{1,40}$", description="Put before the names of its models, with a dot."
    )
    timeout_s: float = Field(300.0, gt=0, description="Longest silence of the back end, in seconds.")


SPEC_NAMES = ("llama3.1", "llama3.2", "granite3.1-dense:8b", "gpt-4-turbo")
"""The model names in the examples of the API document; a fresh machine answers to them with its embedded model."""


class Models(Section):
    """The back ends and the names that clients may use."""

    connections: tuple[Connection, ...] = Field(
        (
            Connection(name="ollama", kind="ollama", url="http://127.0.0.1:11434"),
            Connection(name="embedded", kind="embedded"),
            Connection(name="functions", kind="functions"),
        ),
        description="Back ends in order; the first that knows a name owns it.",
    )
    aliases: dict[str, tuple[str, ...]] = Field(
        dict.fromkeys(SPEC_NAMES, ("smollm2:135m", "extractive")),
        description="Other names for models, used where no back end knows the name; the first target that exists wins.",
    )
    functions_dir: Path = Field(Path("functions"), description="Folder of your own models, Python files.")
    list_ttl_s: float = Field(30.0, ge=0, description="How long a back end's list of models is kept, in seconds.")
    list_timeout_s: float = Field(1.0, gt=0, description="Longest wait for a back end's list, in seconds.")


class EmbeddedModels(Section):
    """Language models that run in this process."""

    threads: int = Field(0, ge=0, description="Threads of the model; 0 means one per core.")
    context_tokens: int = Field(4096, ge=512, description="Longest prompt and answer together, in tokens.")
    idle_unload_s: float = Field(600.0, gt=0, description="A model unused for so long is unloaded, in seconds.")


class Prefect(Section):
    """The Prefect server that shows the runs."""

    enabled: bool = Field(True, description="Report ingestion to Prefect; off: ingestion runs without it.")
    api_url: str | None = Field(None, description="A Prefect server of your own; without it one is started.")
    port: int = Field(4200, ge=0, le=65535, description="Port of the server that is started; 0 takes a free one.")
    work_pool: str | None = Field(
        None,
        description="Work pool whose workers ingest; without it the server does. Needs api_url, database, vectors.",
    )
    max_workers: int = Field(2, gt=0, le=1000, description="Runs of the work pool that ingest at the same time.")


class Settings(BaseSettings):
    """All settings. Order of strength: arguments, RAGLINE_…__… variables, ragline.toml, these defaults.

    `load.load_settings` reads all of them; `Settings(...)` itself takes only what it is given.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="RAGLINE_",
        env_nested_delimiter="__",
    )

    env: Literal["dev", "prod"] = Field(
        "prod",
        validation_alias=AliasChoices("env", "RAGLINE_ENV", "ENV"),
        description="dev: the API describes itself at /docs and /openapi.json.",
    )
    data_dir: Path = Field(Path("ragline-data"), description="Folder of everything Ragline stores by itself.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged to stderr.")
    server: Server = Server()
    auth: Auth = Auth()
    database: Database = Database()
    blobs: Blobs = Blobs()
    vectors: Vectors = Vectors()
    embedder: Embedder = Embedder()
    parsing: Parsing = Parsing()
    chunking: Chunking = Chunking()
    retrieval: Retrieval = Retrieval()
    reranker: Reranker = Reranker()
    models: Models = Models()
    embedded_models: EmbeddedModels = EmbeddedModels()
    prefect: Prefect = Prefect()
    queue: Queue = Queue()
    quotas: Quotas = Quotas()
    events: Events = Events()
    sources: tuple[Source, ...] = Field((), description="Where documents come from.")
    evaluations: tuple[Evaluation, ...] = Field((), description="Sets of questions that scheduled runs ask.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the reading to `sources.py`.

        The library's own sources merge a dict into its default, so that `RAGLINE_MODELS__ALIASES='{}'` would change
        nothing; they pass over variables that they do not know, and forget where a value came from.
        """
        return (init_settings,)
