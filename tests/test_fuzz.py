"""A short fuzz run over documents made here, and that its eyes are open."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzz import main
from benchmarks.mutations import Sample, mutated
from benchmarks.verdicts import broken, outcome_of, unclear
from ragline.config.settings import Parsing
from ragline.connectors.workers import Workers
from ragline.types import Element, Parsed
from tests.parsing.samples import samples


def test_damaged_documents_do_no_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--seconds", "20", "--most", "60", "--seed", "5", "--made", "--keep", str(tmp_path / "found")])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "60 files, seed 5" in said


def test_a_case_is_the_same_each_time() -> None:
    import random

    made = [Sample(f"made.{suffix}", suffix, content) for suffix, content in sorted(samples().items())]
    first, second = ([mutated(sample, made, random.Random(n)) for n, sample in enumerate(made)] for _ in range(2))
    assert first == second
    assert sum(content != sample.content for (content, _, _), sample in zip(first, made, strict=True)) > len(made) // 2


@pytest.mark.parametrize(
    ("element", "wrong"),
    [
        (Element("  \n"), "a blank element"),
        (Element("a\ud800"), "half a character"),
        (Element("a | b\nc | d", "table", html="<table><tr><td>a</td></tr></table>"), "its markup"),
        (Element("a | b\nc | d", "table", rows=(1,)), "numbers of rows"),
        (Element("a", "title"), "a level"),
        (Element("a", page=0), "a page before"),
    ],
)
def test_broken_elements_are_seen(element: Element, wrong: str) -> None:
    assert any(wrong in said for said in broken(Parsed([element, Element("bon")])))


def test_whole_documents_are_not_called_broken() -> None:
    table = Element("a | b\nc | d", "table", html="<table><tr><th>a</th></tr><tr><td>c</td></tr></table>", rows=(1, 2))
    assert list(broken(Parsed([Element("Été", "title", level=1), table, Element("mot " * 900)]))) == []


@pytest.mark.parametrize("said", ["'a.pdf': [Errno 5] I/O error", "/tmp/x is gone", "no", "x" * 3000])
def test_messages_that_say_nothing_to_users_are_seen(said: str) -> None:
    assert unclear(said)
    assert not unclear("'a.pdf' needs a password; save it without one")


async def test_faults_are_seen(tmp_path: Path) -> None:
    workers = Workers(Parsing(workers=1))
    path = tmp_path / "a.txt"
    path.write_text("été")
    assert await outcome_of(workers, Parsing(), path) == ("read", "")
    await workers.close()
    assert (await outcome_of(workers, Parsing(), path))[0] == "FAULT"
    empty = tmp_path / "b.txt"
    empty.touch()
    workers = Workers(Parsing(workers=1))
    assert await outcome_of(workers, Parsing(), empty) == ("refused", "")
    await workers.close()
