"""Documents in a git repository, at one branch, tag or commit: over https, ssh, or on this machine."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from dulwich.client import GitClient, HTTPUnauthorized
from dulwich.config import StackedConfig
from dulwich.errors import NotGitRepository
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID, Tag
from dulwich.refs import Ref
from dulwich.repo import Repo
from pydantic import BaseModel, ConfigDict, Field

from ragline.connectors.sources.addresses import check_host
from ragline.connectors.sources.git_remote import Place, connect, place_of
from ragline.connectors.sources.globs import Globs
from ragline.connectors.sources.protocol import Entry, Read, Vanished
from ragline.connectors.sources.registry import one_location
from ragline.errors import BadInput, RaglineError, TooLarge, Unavailable

if TYPE_CHECKING:
    from ragline.config import settings as config
    from ragline.connectors.workers import Workers

log = logging.getLogger(__name__)

MAX_PACKS = 50
"""Each update adds a pack to the clone; with more than these it is made anew."""

FETCHED = Ref(b"refs/heads/ragline")
"""What the clone holds completely: a server is told of it and sends what is new."""

PAGES: Mapping[str, str] = {"github.com": "blob/{ref}/{path}", "gitlab.com": "-/blob/{ref}/{path}"}
"""Where the hosts that everyone knows show a file, below the repository's own page."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Options(BaseModel):
    """What only repositories know. `secrets`: `username` and `password`, for https; a token is a password."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ref: str | None = Field(None, min_length=1, description="Branch, tag, or full commit id; without it the default.")
    depth: int = Field(1, ge=1, description="Commits of history fetched; documents come from the last one only.")
    ssh_key: str | None = Field(None, description="File of a private key without passphrase; else ssh's own.")
    page_url: str | None = Field(
        None, description="Address at which readers find a file, with {path} and {ref}; known for GitHub and GitLab."
    )


class GitSource:
    """The files of one commit. A bare clone is kept in `folder`, so that an update brings only what is new."""

    def __init__(
        self, settings: config.Source, options: Options, *, folder: Path, workers: Workers, max_bytes: int
    ) -> None:
        self._name = settings.name
        self._place = place_of(one_location(settings))
        self._options = options
        self._secrets = settings.secrets
        self._allow_private = settings.allow_private
        self._globs = Globs(settings.include, settings.exclude)
        self._max_bytes = max_bytes
        self._cache = folder / "clone.git"
        self._page = options.page_url or _page(self._place)
        self._tip: str | None = None
        self._files: Mapping[str, ObjectID] | None = None
        self._repo: Repo | None = None
        self._one_at_a_time = threading.Lock()  # packs are read with one shared position in the file

    @staticmethod
    def problems(settings: config.Source, options: Options) -> list[str]:
        try:
            scheme = place_of(one_location(settings)).scheme
        except BadInput as error:
            return [str(error)]
        known = ("username", "password") if scheme in ("http", "https") else ()
        return [
            *(
                f"secrets.{name} is not known; known for {scheme}: {', '.join(known) or 'none'}"
                for name in settings.secrets
                if name not in known
            ),
            *_wrong_page(options.page_url),
        ]

    async def fingerprint(self) -> str | None:
        """Return the id that the branch, tag or commit stands for now; None for a repository without commits."""
        await self._check_host()
        return await asyncio.to_thread(self._find_tip)

    async def entries(self) -> list[Entry]:
        """Return the files of the commit that the ref stands for now; links and submodules are passed over."""
        await self._check_host()
        return await asyncio.to_thread(self._list)

    async def read(self, entry: Entry, into: BinaryIO, *, known_tag: str | None = None) -> Read:
        """Write the file as it is in the commit that was listed last: the list and its files fit together."""
        if self._files is None:
            await self.entries()
        return await asyncio.to_thread(self._read, entry.path, into, known_tag)

    async def close(self) -> None:
        self._drop()

    async def _check_host(self) -> None:
        if self._place.host:
            await check_host(self._place.host, self._place.port, allow_private=self._allow_private)

    def _list(self) -> list[Entry]:
        with self._one_at_a_time, self._told():
            self._tip = self._find_tip()
            self._files = self._fetch_files(self._tip) if self._tip is not None else {}
            return [
                Entry(path, tag=blob.decode(), url=self._address(path), tag_is_content=True)
                for path, blob in sorted(self._files.items())
            ]

    def _read(self, path: str, into: BinaryIO, known_tag: str | None) -> Read:
        blob = self._files.get(path) if self._files is not None else None
        if blob is None:
            raise Vanished(f"source {self._name!r}: {path!r} is not in commit {self._tip}")
        tag = blob.decode()
        if tag == known_tag:
            return Read(tag, changed=False)
        with self._one_at_a_time, self._told():
            content = self._content(blob, self._tip or "")
        if len(content) > self._max_bytes:
            raise TooLarge(f"source {self._name!r}: {path!r} is larger than the limit of {self._max_bytes} bytes")
        into.write(content)
        return Read(tag)

    def _find_tip(self) -> str | None:
        """Ask the server for the id of the ref: a commit, or the tag object of an annotated tag."""
        wanted = self._options.ref
        if wanted is not None and _COMMIT.fullmatch(wanted):
            return wanted
        with self._told(), self._client() as (client, path):
            refs = {name.decode(errors="replace"): id for name, id in client.get_refs(path).refs.items() if id}
        names = ["HEAD"] if wanted is None else [f"refs/heads/{wanted}", f"refs/tags/{wanted}", wanted]
        for name in names:
            if name in refs:
                return refs[name].decode()
        if wanted is None and not refs:
            return None
        branches = ", ".join(sorted(name.removeprefix("refs/heads/") for name in refs if "/heads/" in name)[:20])
        raise self._unavailable(f"has no branch or tag {wanted or 'HEAD'!r}, set options.ref; branches: {branches}")

    def _fetch_files(self, tip: str) -> dict[str, ObjectID]:
        """Bring the clone up to `tip` and return its files; a clone that is damaged or does not fit is made anew."""
        if self._cache.exists() and len([*self._cache.glob("objects/pack/*.pack")]) <= MAX_PACKS:
            try:
                return self._update(self._cache, tip)
            except Exception as error:  # noqa: BLE001  # a damaged clone fails in ways that have no common class
                log.warning("cloning anew source=%s reason=%s: %s", self._name, type(error).__name__, error)
        return self._clone_anew(tip)

    def _clone_anew(self, tip: str) -> dict[str, ObjectID]:
        """Clone beside the old clone, which is kept until the new one is whole."""
        fresh = self._cache.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        files = self._update(fresh, tip)
        self._drop()
        shutil.rmtree(self._cache, ignore_errors=True)
        fresh.rename(self._cache)
        self._repo = _open_clone(self._cache)
        return files

    def _update(self, cache: Path, tip: str) -> dict[str, ObjectID]:
        id = ObjectID(tip.encode())
        self._drop()
        self._repo = _open_clone(cache)
        if id not in self._repo.object_store:
            self._fetch(self._repo, id)
        files = self._tree(self._repo, id)
        self._repo.refs[FETCHED] = id
        return files

    def _fetch(self, repo: Repo, id: ObjectID) -> None:
        by_ref = self._options.ref is None or not _COMMIT.fullmatch(self._options.ref)

        def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
            # Servers give out what a ref points to. Any other commit is somewhere below the refs.
            tips = {tip for name, tip in refs.items() if not name.endswith(b"^{}")}
            return [id] if by_ref else [tip for tip in tips if tip not in repo.object_store]

        with self._client() as (client, path):
            client.fetch(path, repo, determine_wants=wants, depth=self._options.depth if by_ref else None)
        if id not in repo.object_store:
            raise self._unavailable(f"has no commit {id.decode()} below its branches and tags")

    def _tree(self, repo: Repo, id: ObjectID) -> dict[str, ObjectID]:
        """Return the files that are taken, path and blob id. Raises KeyError where the clone is not whole."""
        found = repo[id]
        while isinstance(found, Tag):
            found = repo[found.object[1]]
        if not isinstance(found, Commit):
            raise self._unavailable(f"{id.decode()} is no commit")
        files: dict[str, ObjectID] = {}
        for item in iter_tree_contents(repo.object_store, found.tree):
            if item.path is None or item.mode is None or item.sha is None or not stat.S_ISREG(item.mode):
                continue
            try:
                path = item.path.decode()
            except UnicodeDecodeError:
                log.warning("left out, its name is not UTF-8: source=%s path=%r", self._name, item.path)
                continue
            if self._globs.take(path):
                files[path] = item.sha
        return files

    def _content(self, blob: ObjectID, tip: str) -> bytes:
        """Return the bytes; a clone that was damaged since it was listed is made anew once."""
        with suppress(Exception):  # whatever a damaged file does to the library: we do not depend on it
            if self._repo is not None and (content := _verified(self._repo, blob)) is not None:
                return content
        log.warning("cloning anew source=%s reason=damaged object %s", self._name, blob.decode())
        self._clone_anew(tip)
        if self._repo is None or (content := _verified(self._repo, blob)) is None:
            raise self._unavailable(f"object {blob.decode()} is damaged on the server too")
        return content

    def _client(self) -> AbstractContextManager[tuple[GitClient, bytes]]:
        secrets = {name: secret.get_secret_value() for name, secret in self._secrets.items()}
        return connect(
            self._place,
            username=secrets.get("username"),
            password=secrets.get("password"),
            ssh_key=self._options.ssh_key,
            allow_private=self._allow_private,
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Translate what the library, the server and the disk raise."""
        try:
            yield
        except RaglineError:
            raise
        except HTTPUnauthorized as error:
            raise self._unavailable("asks who we are; give secrets.password, a token that may read it") from error
        except NotGitRepository as error:
            raise self._unavailable("is no git repository, or not one that we may see; see secrets.password") from error
        except Exception as error:
            # Protocol, TLS, ssh, zlib, files: there is no common class.
            raise self._unavailable(reason_of(error)) from error

    def _drop(self) -> None:
        if self._repo is not None:
            self._repo.close()
            self._repo = None

    def _address(self, path: str) -> str | None:
        ref = self._options.ref or "HEAD"
        return self._page.format(path=quote(path), ref=quote(ref)) if self._page is not None else None

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(f"source {self._name!r}: repository {self._place.url!r}: {reason}")


def reason_of(error: BaseException) -> str:
    """Return what is at the bottom of an error: libraries of networks wrap what the system said several times."""
    below: object = error
    for _ in range(10):
        if isinstance(below, OSError) and below.strerror:
            return f"cannot be reached: {below.strerror}"
        below = (
            getattr(below, "reason", None) or getattr(below, "__cause__", None) or getattr(below, "__context__", None)
        )
    return f"{type(error).__name__}: {error}"


def _page(place: Place) -> str | None:
    pattern = PAGES.get(place.host)
    return f"https://{place.host}/{place.path.rstrip('/').removesuffix('.git')}/{pattern}" if pattern else None


def _wrong_page(pattern: str | None) -> Iterator[str]:
    try:
        if pattern is not None and "{path}" not in pattern.format(path="{path}", ref="x"):
            yield f"options.page_url: {pattern!r} has no {{path}} in it"
    except (LookupError, ValueError):
        yield f"options.page_url: {pattern!r} may have {{path}} and {{ref}} in it and no other braces"


def _open_clone(cache: Path) -> Repo:
    """Open the clone, made where there is none; the settings of the user's own git play no part."""
    if cache.exists():
        return Repo(cache)
    cache.parent.mkdir(parents=True, exist_ok=True)
    return Repo.init_bare(cache, mkdir=True, config=StackedConfig([]))


def _verified(repo: Repo, id: ObjectID) -> bytes | None:
    """Return the bytes of a blob, None where they are not what its id says."""
    content = repo[id].as_raw_string()
    return content if len(id) != 40 or Blob.from_string(content).id == id else None
