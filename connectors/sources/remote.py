"""Documents on any file system that fsspec opens by URL: S3 and its likes, SFTP, SMB, WebDAV, archives …"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

from ragline.connectors.sources.globs import Globs, is_text
from ragline.connectors.sources.protocol import Entry, Read, Vanished
from ragline.connectors.sources.registry import one_location
from ragline.errors import BadInput, RaglineError, TooLarge, Unavailable

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from ragline.config import settings as config
    from ragline.connectors.workers import Workers

log = logging.getLogger(__name__)

BLOCK_BYTES = 4 << 20
"""Read at once; s3fs would take 50 MB."""

S3_SCHEMES = frozenset({"s3", "s3a"})
S3_NAMES = ("key", "secret", "token", "endpoint_url", "region", "anonymous")

SHOWN_SCHEMES = frozenset({"http", "https", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""File systems whose full names of files are addresses that lead a reader there and hold no password."""

Info: TypeAlias = Mapping[str, Any]  # what a file system tells of a file: only `name`, `size`, `type` are common to all


class Options(BaseModel):
    """What only remote file systems know. All but `storage` are for S3; `secrets` takes the same names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str | None = Field(None, description="Access key id; without it the machine's own credentials are used.")
    secret: SecretStr | None = Field(None, description="Secret access key.")
    token: SecretStr | None = Field(None, description="Token of temporary credentials.")
    endpoint_url: str | None = Field(None, description="Address of a server that speaks S3 and is not Amazon's.")
    region: str | None = Field(None, description="Region, such as eu-west-3.")
    anonymous: bool | None = Field(None, description="Read a public bucket without credentials.")
    storage: dict[str, JsonValue] = Field({}, description="Arguments of fsspec's file system, as its pages name them.")


class RemoteSource:
    """All files below a URL, or the one file that it names."""

    def __init__(
        self, settings: config.Source, options: Options, *, folder: Path, workers: Workers, max_bytes: int
    ) -> None:
        self._name = settings.name
        self._url = _url_of(settings)
        self._scheme = _scheme_of(self._url)
        self._storage = _storage(self._scheme, options, settings.secrets)
        self._globs = Globs(settings.include, settings.exclude)
        self._max_bytes = max_bytes
        self._opened: tuple[AbstractFileSystem, str] | None = None
        self._opening = threading.Lock()

    @staticmethod
    def problems(settings: config.Source, options: Options) -> list[str]:
        try:
            scheme = _scheme_of(_url_of(settings))
        except BadInput as error:
            return [str(error)]
        only_s3 = [name for name in S3_NAMES if getattr(options, name) is not None and scheme not in S3_SCHEMES]
        return [
            *_not_installed(scheme),
            *(f"options.{name}: only for s3://; others take their arguments in options.storage" for name in only_s3),
        ]

    async def fingerprint(self) -> str | None:
        """Return None: only the whole list tells whether something changed."""
        return None

    async def entries(self) -> list[Entry]:
        return await asyncio.to_thread(self._list)

    async def read(self, entry: Entry, into: BinaryIO, *, known_tag: str | None = None) -> Read:
        return await asyncio.to_thread(self._read, entry.path, into, known_tag)

    async def close(self) -> None:
        """Let go of the file system; its connections close with it."""
        self._opened = None

    def _list(self) -> list[Entry]:
        with self._told(""):
            files, root = self._open()
            files.invalidate_cache()
            found = [
                Entry(path, tag=_tag(info), size_bytes=info.get("size"), url=self._address(files, info["name"]))
                for info in _find(files, root)
                if (path := self._path(root, info["name"])) is not None and self._globs.take(path)
            ]
        return sorted(found, key=lambda entry: entry.path)

    def _read(self, path: str, into: BinaryIO, known_tag: str | None) -> Read:
        start = into.tell()
        with self._told(path):
            files, root = self._open()
            for _ in range(2):
                before = self._info(files, root, path)
                tag = _tag(before)
                if tag is not None and tag == known_tag:
                    return Read(tag, changed=False)
                self._copy(files, path, before, into)
                if _tag(self._info(files, root, path)) == tag:
                    return Read(tag)
                into.seek(start)
                into.truncate()
        raise self._unavailable(f"{path!r} changes while it is read")

    def _info(self, files: AbstractFileSystem, root: str, path: str) -> Info:
        """Return what is known of a file now. Raises Vanished where there is none."""
        name = root if path == _last(root) and files.isfile(root) else f"{root.rstrip('/')}/{path}"
        files.invalidate_cache()
        try:
            info: Info = files.info(name)
        except FileNotFoundError as error:
            if not files.exists(_top(root)):
                raise self._unavailable(f"{_top(root)!r} is not there any more") from error
            raise Vanished(f"source {self._name!r}: {path!r} is not there any more") from error
        return info

    def _copy(self, files: AbstractFileSystem, path: str, info: Info, into: BinaryIO) -> None:
        if (info.get("size") or 0) > self._max_bytes:
            raise self._too_large(path)
        copied = 0
        with files.open(info["name"], "rb", block_size=BLOCK_BYTES) as file:
            while block := file.read(BLOCK_BYTES):
                copied += len(block)
                if copied > self._max_bytes:
                    raise self._too_large(path)
                into.write(block)

    def _open(self) -> tuple[AbstractFileSystem, str]:
        """Return the file system and the name of the root in it; no cache of fsspec's outlives this source."""
        import fsspec

        with self._opening:
            if self._opened is None:
                storage = {**self._storage, "skip_instance_cache": True, "use_listings_cache": False}
                self._opened = fsspec.core.url_to_fs(self._url, **storage)
            return self._opened

    def _path(self, root: str, name: str) -> str | None:
        """Return the name below the root, None for what is no document of this source."""
        path = _last(root) if name == root else name.removeprefix(root.rstrip("/") + "/")
        if not path or path.endswith("/") or (path == name and root.strip("/")):
            return None  # a mark that stands for a folder, or a file beside the root
        if is_text(path):
            return path
        log.warning("left out, its name is not UTF-8: source=%s path=%a", self._name, path)
        return None

    def _address(self, files: AbstractFileSystem, name: str) -> str | None:
        return str(files.unstrip_protocol(name)) if self._scheme in SHOWN_SCHEMES else None

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Translate what a file system raises."""
        try:
            yield
        except RaglineError:
            raise
        except Exception as error:
            # A file system may be anybody's package, each has errors of its own.
            what = f"{path!r} cannot be read" if path else "cannot be listed"
            raise self._unavailable(f"{what}: {type(error).__name__}: {error}") from error

    def _too_large(self, path: str) -> TooLarge:
        return TooLarge(f"source {self._name!r}: {path!r} is larger than the limit of {self._max_bytes} bytes")

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(f"source {self._name!r}: {_without_password(self._url)}: {reason}")


def _url_of(settings: config.Source) -> str:
    """Return the location as a URL; kind s3 also takes `bucket/prefix`. Raises BadInput."""
    location = one_location(settings).strip()
    if settings.kind == "s3":
        location = location if "://" in location else f"s3://{location}"
        if _scheme_of(location) not in S3_SCHEMES:
            raise BadInput(f"location: {_without_password(location)!r} is not on S3; use kind 'fsspec'")
    if "://" not in location and "::" not in location:
        raise BadInput(f"location: {location!r} is no URL such as s3://bucket/prefix; for a folder use kind 'folder'")
    return location


def _scheme_of(url: str) -> str:
    """`zip://*.md::s3://bucket/a.zip` is of the scheme zip."""
    return url.partition("::")[0].partition("://")[0].lower()


def _without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _not_installed(scheme: str) -> Iterator[str]:
    from fsspec.registry import known_implementations, registry

    if scheme in registry:
        return
    known: Mapping[str, str] | None = known_implementations.get(scheme)
    if known is None:
        yield f"location: fsspec knows no file system {scheme!r}; known: {', '.join(sorted(known_implementations))}"
    elif find_spec(known["class"].partition(".")[0]) is None:
        hint = "pip install 'ragline[s3]'" if scheme in S3_SCHEMES else known.get("err", f"install {known['class']}")
        yield f"location: {scheme}:// needs another package; {hint}"


def _storage(scheme: str, options: Options, secrets: Mapping[str, SecretStr]) -> dict[str, Any]:
    """Return the arguments of fsspec's file system; what is common to S3 is given their names."""
    given: dict[str, Any] = {**options.storage, **{name: secret.get_secret_value() for name, secret in secrets.items()}}
    if scheme not in S3_SCHEMES:
        return given
    for name in S3_NAMES:
        if (value := getattr(options, name)) is not None:
            given.setdefault(name, value.get_secret_value() if isinstance(value, SecretStr) else value)
    if region := given.pop("region", None):
        given["client_kwargs"] = {"region_name": region, **given.get("client_kwargs", {})}
    if (anonymous := given.pop("anonymous", None)) is not None:
        given["anon"] = anonymous
    return given


def _find(files: AbstractFileSystem, root: str) -> Iterator[Info]:
    """Yield all files below `root`, or the one that it is; raises what the file system raises.

    An object store lists its keys in one go. Where fsspec walks through folders instead, it passes over those that it
    cannot read, so there we walk ourselves: a part must not be taken for the whole.
    """
    from fsspec import AbstractFileSystem
    from fsspec.asyn import AsyncFileSystem

    kind = type(files)
    walks = kind._find is AsyncFileSystem._find if files.async_impl else kind.find is AbstractFileSystem.find
    if not walks:
        found: Mapping[str, Info] = files.find(root, detail=True)
        if not found and not files.exists(_top(root)):
            raise FileNotFoundError(f"there is no {_top(root)!r}")
        yield from (info for info in found.values() if info["type"] == "file")
        return
    waiting, seen = [root], {root}
    while waiting:
        for info in files.ls(waiting.pop(), detail=True):
            name = info["name"].rstrip("/")
            if info["type"] == "file" and not info.get("islink"):
                yield info
            elif info["type"] == "directory" and name not in seen and name.startswith(root.rstrip("/") + "/"):
                seen.add(name)
                waiting.append(name)


def _tag(info: Info) -> str | None:
    """Return the etag, else time and size, None where neither is told: then only reading tells."""
    for name in ("ETag", "etag", "e_tag", "md5Hash", "content_md5"):
        if info.get(name):
            return str(info[name]).strip('"')
    for name in ("mtime", "LastModified", "last_modified", "modified", "updated", "created"):
        if (changed := info.get(name)) is not None:
            # Some tell the same time as a number in a list and as a datetime for one file.
            return f"{changed.timestamp() if isinstance(changed, datetime) else changed}-{info.get('size')}"
    return None


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _top(root: str) -> str:
    """Return the bucket of an object store, the root itself of other file systems, whose names begin with a slash."""
    return root if root.startswith("/") else root.partition("/")[0]
