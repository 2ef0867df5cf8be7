"""Kinds by name, what is wrong with settings told before anything is opened, and kinds of other packages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ragline.config.settings import Source
from ragline.connectors.sources.registry import check_source
from ragline.errors import SetupError
from tests.sources.conftest import Open, settings


@pytest.mark.parametrize(
    ("kind", "location", "options", "secrets"),
    [
        pytest.param("folder", "nowhere/yet", {"poll": True}, {}, id="folder-not-mounted-yet"),
        pytest.param("fsspec", "memory://docs", {}, {}, id="fsspec"),
        pytest.param("fsspec", "sftp://host/docs", {"storage": {"username": "a"}}, {"password": "b"}, id="sftp"),
        pytest.param("s3", "bucket/docs", {"region": "eu-west-3", "key": "a"}, {"secret": "b"}, id="s3"),
        pytest.param("s3", "s3://bucket", {"anonymous": True}, {}, id="s3-url"),
        pytest.param("git", "https://example.org/a/b.git", {"ref": "main"}, {"password": "token"}, id="git"),
        pytest.param("git", "git@example.org:a/b.git", {"ssh_key": "key"}, {}, id="git-ssh"),
    ],
)
def test_right_settings_have_no_problem(
    kind: str, location: str, options: dict[str, object], secrets: dict[str, str]
) -> None:
    problems = check_source(settings(kind, location, options=options, secrets=secrets))
    assert [problem for problem in problems if "needs another package" not in problem] == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param(
            {"kind": "floder"}, r"'floder' is not known; known: folder, fsspec, s3, git, web, feed", id="kind"
        ),
        pytest.param({"options": {"pol": 1}}, r"options\.pol is not known; known options: poll", id="unknown-option"),
        pytest.param({"options": {"poll": "perhaps"}}, r"options\.poll: .*boolean", id="wrong-option"),
        pytest.param({"include": ["*.md", "[z-a]"]}, r"include: pattern '\[z-a\]' is not valid", id="include"),
        pytest.param({"exclude": ["a\\"]}, r"exclude: pattern 'a\\\\' is not valid", id="exclude"),
        pytest.param({"exclude": [""]}, r"exclude: pattern '' is not valid \(it matches nothing\)", id="empty-pattern"),
        pytest.param({"location": ["a", "b"]}, r"location: kind 'folder' takes one place, not 2", id="two-folders"),
        pytest.param({"location": " "}, r"location: kind 'folder' takes one place", id="no-folder"),
        pytest.param({"secrets": {"key": "hush"}}, r"secrets\.key: a folder needs no secrets", id="folder-secret"),
        pytest.param({"kind": "fsspec"}, r"'docs' is no URL .*use kind 'folder'", id="no-url"),
        pytest.param(
            {"kind": "fsspec", "location": "nosuch://a"}, r"no file system 'nosuch'; known: .*s3", id="scheme"
        ),
        pytest.param(
            {"kind": "fsspec", "location": "oci://a@b/"}, r"oci:// needs another package; .*ocifs", id="not-installed"
        ),
        pytest.param(
            {"kind": "fsspec", "location": "memory://a", "options": {"region": "x"}},
            r"options\.region: only",
            id="s3-only",
        ),
        pytest.param({"kind": "s3", "location": "gs://a"}, r"'gs://a' is not on S3; use kind 'fsspec'", id="not-s3"),
        pytest.param({"kind": "git", "location": "git://h/a"}, r"'git://h/a' is no repo.*https://", id="git-scheme"),
        pytest.param({"kind": "git", "location": "https://a:hush@h/b"}, r"secrets\.password", id="git-password"),
        pytest.param({"kind": "git", "location": "ssh://-oProxyCommand=x/b"}, r"location: ", id="git-option-as-host"),
        pytest.param({"kind": "git", "location": "https://h:x/b"}, r"not a valid address", id="git-port"),
        pytest.param({"kind": "git", "secrets": {"token": "hush"}}, r"secrets\.token is not known", id="git-secret"),
        pytest.param({"kind": "git", "options": {"page_url": "https://h/{p}"}}, r"other braces", id="git-braces"),
        pytest.param({"kind": "git", "options": {"page_url": "https://h/"}}, r"no \{path\} in it", id="git-no-path"),
    ],
)
def test_a_problem_is_told_with_its_way_out(wrong: dict[str, object], said: str) -> None:
    values = {"name": "notes", "kind": "folder", "location": "docs", "collection": "docs", **wrong}
    (problem,) = check_source(Source.model_validate(values))
    assert problem.startswith("source 'notes': ")
    assert re.search(said, problem)
    assert "hush" not in problem


def test_all_problems_are_told_at_once(opened: Open) -> None:
    wrong = settings("folder", "docs", include=["["], options={"a": 1, "poll": "perhaps"})
    assert len(check_source(wrong)) == 3
    with pytest.raises(SetupError, match=r"pattern '\['.*\n.*options\.poll.*\n.*options\.a"):
        opened(wrong)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package `minutes` with an entry point for a kind of its own, as far as Python can tell."""
    root = tmp_path / "site"
    (root / "minutes-1.0.dist-info").mkdir(parents=True)
    (root / "minutes-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: minutes\nVersion: 1.0\n")
    (root / "minutes-1.0.dist-info" / "entry_points.txt").write_text(
        "[ragline.sources]\nminutes = ragline_test_minutes:Minutes\nbroken = ragline_test_minutes:Nothing\n"
    )
    (root / "ragline_test_minutes.py").write_text(
        """
from pydantic import BaseModel
from ragline.connectors.sources.protocol import Entry

class Options(BaseModel, extra="forbid"):
    year: int = 2026

class Minutes:
    def __init__(self, settings, options, *, folder, workers, max_bytes):
        self.settings, self.options = settings, options

    async def fingerprint(self):
        return None

    async def entries(self):
        return [Entry(f"{self.settings.location}-{self.options.year}.md")]

    async def close(self):
        pass
"""
    )
    monkeypatch.syspath_prepend(root)
    return root


@pytest.mark.usefixtures("package")
async def test_a_kind_that_a_package_adds_is_found_by_name(opened: Open) -> None:
    entries = await opened(settings("minutes", "board", options={"year": 2020})).entries()
    assert [entry.path for entry in entries] == ["board-2020.md"]
    (problem,) = check_source(settings("minutes", "board", options={"month": 1}))
    assert "options.month is not known; known options: year" in problem
    (problem,) = check_source(settings("nothing", "board"))
    assert problem.endswith("known: folder, fsspec, s3, git, web, feed, broken, minutes")


def test_what_cannot_be_watched_is_not_to_be_watched() -> None:
    (problem,) = check_source(settings("web", "https://example.org").model_copy(update={"watch": True}))
    assert "the kind 'web' cannot be watched" in problem


@pytest.mark.usefixtures("package")
def test_a_package_that_is_broken_is_named() -> None:
    (problem,) = check_source(settings("broken", "board"))
    assert "kind 'broken' cannot be loaded: AttributeError" in problem
    assert "package 'minutes'" in problem
