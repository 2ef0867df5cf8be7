"""Places that documents are taken from, each with the same few things that a test does to it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4
from wsgiref.simple_server import WSGIRequestHandler, make_server

import fsspec
import pytest
from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

from ragline.config.settings import Parsing, Source
from ragline.connectors.sources import protocol
from ragline.connectors.sources.registry import open_source
from ragline.connectors.sources.web import Options, WebSource
from ragline.connectors.workers import Workers
from tests.s3 import s3_server

from .documents import Open as OpenWeb
from .site import Here, Site, serving

Open = Callable[..., protocol.Source]

MAX_BYTES = 100_000


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
async def open_web(tmp_path: Path) -> AsyncIterator[OpenWeb]:
    """Opens web sources that share one memory; `folder` names another."""
    opened: list[WebSource] = []

    def open_web(
        location: str | tuple[str, ...],
        *,
        allow_private: bool = True,
        include: tuple[str, ...] = ("**",),
        exclude: tuple[str, ...] = (),
        secrets: dict[str, str] | None = None,
        workers: Workers | None = None,
        folder: Path = tmp_path,
        **options: object,
    ) -> WebSource:
        settings = Source.model_validate(
            {
                "name": "docs",
                "kind": "web",
                "location": location,
                "collection": "docs",
                "include": include,
                "exclude": exclude,
                "allow_private": allow_private,
                "secrets": secrets or {},
            }
        )
        chosen = Options.model_validate({"delay_s": 0, **options})
        source = WebSource(settings, chosen, folder=folder, workers=workers or Here(), max_bytes=1_000_000)
        opened.append(source)
        return source

    yield open_web
    for source in opened:
        await source.close()
        await source.close()


def settings(kind: str, location: str | Path, **more: Any) -> Source:
    return Source(name="notes", kind=kind, location=str(location), collection="docs", **more)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens sources by their settings; `folder` names another cache than the usual one."""
    workers = Workers(Parsing())
    sources: list[protocol.Source] = []

    def open_(settings: Source, *, folder: str = "cache", max_bytes: int = MAX_BYTES) -> protocol.Source:
        source = open_source(settings, folder=tmp_path / folder, workers=workers, max_bytes=max_bytes)
        sources.append(source)
        return source

    yield open_
    for source in sources:
        await source.close()
    await workers.close()


class Place(Protocol):
    """A place with documents. `nowhere` is one of the same kind that cannot be reached."""

    def settings(self, **more: Any) -> Source: ...
    def nowhere(self) -> Source: ...
    def put(self, path: str, content: bytes) -> None: ...
    def delete(self, path: str) -> None: ...


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def settings(self, **more: Any) -> Source:
        return settings("folder", self.root, **more)

    def nowhere(self) -> Source:
        return settings("folder", self.root.parent / "nowhere")

    def put(self, path: str, content: bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.stat().st_mtime_ns if file.exists() else 0
        file.write_bytes(content)
        now = max(time.time_ns(), before + 1)  # two writes within one tick of the clock are two all the same
        os.utime(file, ns=(now, now))

    def delete(self, path: str) -> None:
        (self.root / path).unlink()


class Remote:
    """A folder of a file system of fsspec's, changed through an instance that is not the source's."""

    def __init__(self, kind: str, url: str, nowhere: str, **options: Any) -> None:
        self.kind, self.url, self.nowhere_url, self.options = kind, url, nowhere, options
        self.files, self.root = fsspec.core.url_to_fs(url, **_plain(options), use_listings_cache=False)
        self.files.makedirs(self.root, exist_ok=True)

    def settings(self, **more: Any) -> Source:
        return settings(self.kind, self.url, options=self.options, **more)

    def nowhere(self) -> Source:
        return settings(self.kind, self.nowhere_url, options=self.options)

    def put(self, path: str, content: bytes) -> None:
        name = f"{self.root}/{path}"
        self.files.makedirs(name.rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(name, content)

    def delete(self, path: str) -> None:
        self.files.rm_file(f"{self.root}/{path}")


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """What Ragline calls `region` s3fs takes for its client."""
    region = options.get("region")
    plain = {name: value for name, value in options.items() if name not in ("region", "storage")}
    return plain | ({"client_kwargs": {"region_name": region}} if region else {})


class Repository:
    """A bare repository of real commits; `url` is where it is served, else its path."""

    def __init__(self, root: Path, url: str | None = None) -> None:
        self.repo = Repo.init_bare(root, mkdir=True, default_branch=b"main")
        self.url = url or str(root)
        self.files: dict[bytes, tuple[ObjectID, int]] = {}

    def settings(self, **more: Any) -> Source:
        return settings("git", self.url, **{"allow_private": True, **more})

    def nowhere(self) -> Source:
        return settings("git", self.url.replace("/docs", "/nowhere"), allow_private=True)

    def put(self, path: str, content: bytes, *, mode: int = 0o100644) -> None:
        blob = Blob.from_string(content)
        self.repo.object_store.add_object(blob)
        self.files[path.encode(errors="surrogateescape")] = (blob.id, mode)
        self.commit()

    def delete(self, path: str) -> None:
        del self.files[path.encode()]
        self.commit()

    def commit(self, branch: str = "main", *, parents: list[ObjectID] | None = None) -> ObjectID:
        """Commit all files to the branch and return the id; other `parents` than its last commit rewrite it."""
        ref = Ref(f"refs/heads/{branch}".encode())
        tree = commit_tree(self.repo.object_store, [(path, *blob) for path, blob in self.files.items()])
        commit = Commit()
        commit.tree = tree
        commit.parents = ([self.repo.refs[ref]] if ref in self.repo.refs else []) if parents is None else parents
        commit.author = commit.committer = b"A <a@example.org>"
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"change"
        self.repo.object_store.add_object(commit)
        self.repo.refs[ref] = commit.id
        return commit.id


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Requests are no news."""


@pytest.fixture
def wrap() -> Callable[[Any], Any]:
    """What the git server's application is wrapped in; a test may parametrize it."""
    return lambda app: app


@pytest.fixture
def git_server(wrap: Callable[[Any], Any], tmp_path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A git server on loopback: its address, and the repositories it serves by path, to be filled."""
    repositories: dict[str, Any] = {}
    app = wrap(make_wsgi_chain(DictBackend(repositories)))

    def with_root(environ: dict[str, Any], start_response: Any) -> Any:
        return app(environ | {"ragline.root": str(tmp_path)}, start_response)

    server = make_server("127.0.0.1", 0, with_root, handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", repositories
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


def s3_options(url: str) -> dict[str, Any]:
    return {"endpoint_url": url, "key": "a", "secret": "b", "region": "eu-west-3"}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path / "docs")
    yield made
    made.repo.close()


@pytest.fixture
def served_repository(tmp_path: Path, git_server: tuple[str, dict[str, Any]]) -> Iterator[Repository]:
    url, repositories = git_server
    made = Repository(tmp_path / "docs", f"{url}/docs")
    repositories["/docs"] = made.repo
    yield made
    made.repo.close()


@pytest.fixture(params=["folder", "memory", "file", "s3", "git", "git-http"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of place in turn, empty."""
    name = f"place-{uuid4().hex}"
    match request.param:
        case "folder":
            return Folder(tmp_path / "documents")
        case "memory":
            return Remote("fsspec", f"memory://{name}/docs", f"memory://{name}/nowhere")
        case "file":
            folder = (tmp_path / "documents").as_uri()
            return Remote("fsspec", folder, f"{folder}/nowhere")
        case "s3":
            options = s3_options(request.getfixturevalue("s3_url"))
            return Remote("s3", f"s3://{name}", f"s3://{name}-nowhere/docs", **options)
        case "git":
            made: Repository = request.getfixturevalue("repository")
            return made
        case _:
            served: Repository = request.getfixturevalue("served_repository")
            return served
