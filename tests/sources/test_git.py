"""Repositories: which commit, what is in the clone after all kinds of accidents, and whom it connects to."""

from __future__ import annotations

import base64
import gc
import io
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from dulwich.objects import ObjectID, Tag

from ragline.config.settings import Source
from ragline.connectors.sources import protocol
from ragline.connectors.sources.git import MAX_PACKS
from ragline.connectors.sources.git_remote import Place, connect
from ragline.connectors.sources.protocol import Entry
from ragline.errors import Forbidden, Unavailable
from tests.sources.conftest import Open, Repository, settings
from tests.sources.site import Page, serving

App = Callable[[dict[str, Any], Any], Iterable[bytes]]
Test = TypeVar("Test", bound=Callable[..., Any])


def by_git(app: App) -> App:
    """What git itself answers, in the protocol of today's servers, for the repository in the process's folder."""

    def cgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        names = ("REQUEST_METHOD", "QUERY_STRING", "PATH_INFO", "CONTENT_TYPE", "CONTENT_LENGTH")
        variables = {name: environ.get(name, "") for name in names}
        variables |= {"GIT_PROJECT_ROOT": environ["ragline.root"], "GIT_HTTP_EXPORT_ALL": "1", "PATH": os.defpath}
        variables["GIT_PROTOCOL"] = environ.get("HTTP_GIT_PROTOCOL", "")
        variables |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, stdout=subprocess.PIPE, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = dict(headers).get("Status", "200 OK")
        start_response(status, [header for header in headers if header[0] != "Status"])
        return [content]

    return cgi


def through_git(test: Test) -> Test:
    """Let the server of a test be git's own, where git is installed."""
    served = pytest.mark.parametrize("wrap", [pytest.param(by_git, id="git")])
    present = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
    return cast(Test, served(present(test)))


async def documents(source: protocol.Source) -> dict[str, bytes]:
    found = {}
    for entry in await source.entries():
        into = io.BytesIO()
        await source.read(entry, into)
        found[entry.path] = into.getvalue()
    return found


def with_options(repository: Repository, **options: Any) -> Source:
    return repository.settings(options=options)


async def test_only_files_are_documents(repository: Repository, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    repository.put("run.sh", b"#!/bin/sh", mode=0o100755)
    repository.put("link.md", b"run.sh", mode=0o120000)
    repository.put("\udce9t\udce9.md", b"x")
    repository.files[b"module"] = (ObjectID(b"1" * 40), 0o160000)
    repository.commit()
    with caplog.at_level(logging.WARNING):
        assert await documents(opened(repository.settings())) == {"run.sh": b"#!/bin/sh"}
    assert r"\xe9t\xe9.md" in caplog.text


async def test_the_tag_of_a_file_is_its_content(repository: Repository, opened: Open) -> None:
    repository.put("a.md", b"hello\n")
    source = opened(repository.settings())
    (before,) = await source.entries()
    assert before == Entry("a.md", tag="ce013625030ba8dba906f756967f9e9ca394464a", tag_is_content=True)
    repository.files[b"moved/b.md"] = repository.files.pop(b"a.md")
    repository.commit()
    (after,) = await source.entries()
    assert (after.path, after.tag) == ("moved/b.md", before.tag)


async def test_a_branch_a_tag_or_a_commit_can_be_asked_for(served_repository: Repository, opened: Open) -> None:
    repository = served_repository
    repository.put("a.md", b"first")
    first = repository.commit()
    repository.put("a.md", b"second")
    second = repository.commit("feature/é")
    tag = Tag()
    tag.object, tag.name, tag.message = (type(repository.repo[first]), first), b"v1", b"one"
    tag.tagger, tag.tag_time, tag.tag_timezone = b"A <a@example.org>", 0, 0
    repository.repo.object_store.add_object(tag)
    repository.repo.refs[b"refs/tags/v1"] = tag.id  # type: ignore[index]
    repository.repo.refs[b"refs/tags/light"] = second  # type: ignore[index]
    repository.put("a.md", b"third")
    expected = {None: b"third", "feature/é": b"second", "v1": b"first", "light": b"second", first.decode(): b"first"}
    for ref, content in expected.items():
        # All in one cache folder: what an earlier setting left there does not get in the way.
        source = opened(with_options(repository, **({"ref": ref} if ref else {})))
        assert await documents(source) == {"a.md": content}, ref
        assert await source.fingerprint() == await source.fingerprint()


async def test_an_unknown_ref_is_an_error_that_names_the_branches(repository: Repository, opened: Open) -> None:
    repository.put("a.md", b"x")
    repository.commit("stable")
    for asked in ("nowhere", "refs/heads/nowhere"):
        with pytest.raises(Unavailable, match=r"no branch or tag .*nowhere.*options\.ref; branches: main, stable"):
            await opened(with_options(repository, ref=asked)).fingerprint()
    with pytest.raises(Unavailable, match="has no commit 1111"):
        await opened(with_options(repository, ref="1" * 40)).entries()


async def test_the_fingerprint_is_the_commit(served_repository: Repository, opened: Open) -> None:
    source = opened(served_repository.settings())
    assert await source.fingerprint() is None
    served_repository.put("a.md", b"x")
    first = served_repository.commit()
    assert await source.fingerprint() == first.decode()
    served_repository.put("a.md", b"y")
    assert await source.fingerprint() != first.decode()


async def test_history_may_be_rewritten(served_repository: Repository, opened: Open) -> None:
    served_repository.put("a.md", b"one")
    source = opened(served_repository.settings())
    assert await documents(source) == {"a.md": b"one"}
    served_repository.files.clear()
    served_repository.put("b.md", b"two")
    served_repository.commit(parents=[])
    assert await documents(source) == {"b.md": b"two"}


@through_git  # dulwich's own sends everything again
async def test_an_update_brings_only_what_is_new(
    served_repository: Repository, opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served_repository.put("large.bin", os.urandom(50_000))
    assert len(await documents(opened(served_repository.settings()))) == 1
    served_repository.put("a.md", b"small")
    served_repository.put("a.md", b"new")
    assert (await documents(opened(served_repository.settings())))["a.md"] == b"new"
    sizes = sorted(pack.stat().st_size for pack in (tmp_path / "cache").glob("clone.git/objects/pack/*.pack"))
    assert [size > 50_000 for size in sizes] == [False, True]
    assert "cloning anew" not in caplog.text


def _truncate_packs(clone: Path) -> None:
    for pack in clone.glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40])


def _scribble_over_packs(clone: Path) -> None:
    for pack in clone.glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:12] + bytes(pack.stat().st_size - 12))


def _remove_objects(clone: Path) -> None:
    shutil.rmtree(clone / "objects" / "pack")


def _remove_head(clone: Path) -> None:
    (clone / "HEAD").unlink()


def _fill_with_packs(clone: Path) -> None:
    (pack,) = clone.glob("objects/pack/*.pack")
    for number in range(MAX_PACKS):
        for suffix in (".pack", ".idx"):
            shutil.copy(pack.with_suffix(suffix), pack.with_name(f"pack-{number:040}{suffix}"))


@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning")  # dulwich's
@pytest.mark.parametrize(
    "damage", [_truncate_packs, _scribble_over_packs, _remove_objects, _remove_head, _fill_with_packs]
)
async def test_a_damaged_clone_is_made_anew(
    served_repository: Repository, opened: Open, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    served_repository.put("a.md", b"text")
    source = opened(served_repository.settings())
    assert await documents(source) == {"a.md": b"text"}
    await source.close()
    damage(tmp_path / "cache" / "clone.git")
    assert await documents(opened(served_repository.settings())) == {"a.md": b"text"}
    assert len([*(tmp_path / "cache").glob("clone.git/objects/pack/*.pack")]) == 1
    served_repository.put("b.md", b"more")
    assert await documents(opened(served_repository.settings())) == {"a.md": b"text", "b.md": b"more"}
    gc.collect()  # what dulwich left open, while its warning is passed over


async def test_a_clone_that_is_damaged_after_it_was_listed_is_made_anew(
    served_repository: Repository, opened: Open, tmp_path: Path
) -> None:
    served_repository.put("a.md", b"text")
    source = opened(served_repository.settings())
    (entry,) = await source.entries()
    shutil.rmtree(tmp_path / "cache")
    await source.close()
    into = io.BytesIO()
    await source.read(entry, into)
    assert into.getvalue() == b"text"


async def test_a_server_that_is_gone_leaves_the_clone_alone(
    served_repository: Repository, git_server: tuple[str, dict[str, Any]], opened: Open, tmp_path: Path
) -> None:
    served_repository.put("a.md", b"text")
    source = opened(served_repository.settings())
    await source.entries()
    served = git_server[1].pop("/docs")
    with pytest.raises(Unavailable, match="no git repository"):
        await source.entries()
    assert len([*(tmp_path / "cache").glob("clone.git/objects/pack/*.pack")]) == 1
    git_server[1]["/docs"] = served
    assert await documents(source) == {"a.md": b"text"}


async def test_readers_find_the_original(repository: Repository, opened: Open) -> None:
    repository.put("a b/é.md", b"x")
    options = {"page_url": "https://code.example.org/r/{ref}/{path}", "ref": "main"}
    (entry,) = await opened(with_options(repository, **options)).entries()
    assert entry.url == "https://code.example.org/r/main/a%20b/%C3%A9.md"


async def test_a_private_address_is_refused(served_repository: Repository, opened: Open) -> None:
    served_repository.put("a.md", b"x")
    source = opened(served_repository.settings(allow_private=False))
    for asked in (source.fingerprint, source.entries):
        with pytest.raises(Forbidden, match=r"127\.0\.0\.1"):
            await asked()


def test_a_private_address_is_refused_at_the_connection_too(served_repository: Repository) -> None:
    """A redirect, or a host whose address changes after it was checked, leads here."""
    place = Place(served_repository.url, "http")
    with (
        connect(place, username=None, password=None, ssh_key=None, allow_private=False) as (client, path),
        pytest.raises(Forbidden, match="allow_private"),
    ):
        client.get_refs(path)


async def test_a_redirect_to_another_private_host_is_refused(served_repository: Repository, opened: Open) -> None:
    asked = "/info/refs?service=git-upload-pack"
    target = served_repository.url.replace("127.0.0.1", "localhost")
    with serving() as site:
        site.pages[f"/docs{asked}"] = Page(status=302, headers={"Location": f"{target}{asked}"})
        source = opened(settings("git", f"{site.url}/docs", allow_private=True))
        with pytest.raises(Forbidden, match=r"'localhost' has the address .* location names"):
            await source.fingerprint()


async def test_metadata_addresses_are_no_place_for_a_repository(opened: Open) -> None:
    with pytest.raises(Forbidden, match=r"169\.254\.169\.254.* whatever allow_private says"):
        await opened(settings("git", "http://169.254.169.254/docs", allow_private=True)).fingerprint()


async def test_a_port_that_nobody_listens_at_is_an_error(dead_url: str, opened: Open) -> None:
    with pytest.raises(Unavailable, match=r"'notes'.*refused"):
        await opened(settings("git", f"{dead_url}/docs", allow_private=True)).entries()


def locked(app: App) -> App:
    """`app` for whoever knows the token only, whatever the user's name."""

    def checked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        given = base64.b64decode(environ.get("HTTP_AUTHORIZATION", "").removeprefix("Basic ")).partition(b":")
        if given[0] and given[2] == b"token":
            return app(environ, start_response)
        start_response("401 Unauthorized", [("WWW-Authenticate", "Basic"), ("Content-Length", "0")])
        return []

    return checked


@pytest.mark.parametrize("wrap", [pytest.param(locked, id="token")])
async def test_a_token_is_a_password(served_repository: Repository, opened: Open) -> None:
    served_repository.put("a.md", b"text")
    with pytest.raises(Unavailable, match=r"secrets\.password"):
        await opened(served_repository.settings()).entries()
    with pytest.raises(Unavailable) as refused:
        await opened(served_repository.settings(secrets={"password": "hush"})).entries()
    assert "hush" not in str(refused.value)
    assert await documents(opened(served_repository.settings(secrets={"password": "token"}))) == {"a.md": b"text"}


@through_git
async def test_the_server_of_git_itself_is_understood(
    served_repository: Repository, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    served_repository.put("sub/a.md", b"text")
    first = served_repository.commit()
    source = opened(served_repository.settings())
    assert await documents(source) == {"sub/a.md": b"text"}
    served_repository.put("b.md", b"more")
    assert await documents(source) == {"b.md": b"more", "sub/a.md": b"text"}
    served_repository.commit(parents=[])
    assert await documents(source) == {"b.md": b"more", "sub/a.md": b"text"}
    assert "cloning anew" not in caplog.text
    served_repository.repo.refs[b"refs/heads/old"] = first  # type: ignore[index]
    old = opened(with_options(served_repository, ref=first.decode()), folder="old")
    assert await documents(old) == {"sub/a.md": b"text"}
