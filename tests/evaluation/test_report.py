"""The page of an evaluation: well formed, escaped, in two languages; and the runs of the past."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ragline.retrieval.evaluation import history
from ragline.retrieval.evaluation.history import FILE, earlier, keep
from ragline.retrieval.evaluation.markup import el
from ragline.retrieval.evaluation.report import compared, page
from ragline.retrieval.evaluation.results import Configuration, Evaluation, Shown, Trial, by_collection, measured
from ragline.retrieval.evaluation.sets import Asked, Document, Note, Place, QuestionSet
from ragline.retrieval.evaluation.words import ENGLISH, FRENCH, Speech

EVIL = "</title><script>alert('é')</script>\u202e\x00"


def asked(count: int, *, text: str = "Où est-ce ?") -> list[Asked]:
    return [
        Asked(f"q{number}", text, {"a.md": 1}, [Place("a.md")], "Été" if number % 2 else "Hiver")
        for number in range(count)
    ]


def trial(*rankings: Sequence[str], seconds: float = 0.01, notes: Sequence[str] = ()) -> Trial:
    dense, words = (rankings * 2)[:2]
    shown = [Shown(label, f"Texte de {label} {EVIL}", label == "a.md") for label in dense[:3]]
    return Trial({"dense": dense, "bm25": words, "fused": dense, "answer": dense}, shown, seconds, seconds, notes)


def evaluation(
    found: Sequence[Sequence[Trial]], *, text: str = "Où est-ce ?", overrides: Mapping[str, str] = {}, at: float = 1e9
) -> Evaluation:
    questions = asked(len(found[0]), text=text)
    names = ("A", "B") if len(found) > 1 else ("",)
    configurations = [
        measured(
            Configuration(name, overrides, {"fusion": "distribution"}),
            questions,
            trials,
            left_out={"reranked": "no_reranker"},
        )
        for name, trials in zip(names, found, strict=True)
    ]
    chosen = QuestionSet("jeu", "golden", questions, "f1", notes=[Note("unjudged", {"count": "3"})])
    return Evaluation(chosen, configurations, at, {"ragline": "1.0"})


def parsed(text: str) -> ET.Element:
    """Parse a page as XML, which is stricter than HTML."""
    return ET.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def test_a_page_needs_nothing_else_and_is_well_formed() -> None:
    text = page(evaluation([[trial(["a.md"]), trial(["x", "a.md"])]]), [], language="en")
    root = parsed(text)
    assert [one.tag for one in root.iter() if one.tag in ("script", "link", "img", "iframe")] == []
    assert not re.search(r"(?:src|href)=|url\(|@import", text)
    assert len(list(root.iter("svg"))) == 4  # bars, the curve, two times
    assert "0.815" in text  # the mean of 1 and 1 / log2(3)


def test_texts_from_elsewhere_are_escaped_and_cannot_turn_the_page_around() -> None:
    text = page(evaluation([[trial([EVIL, "x"])]], text=EVIL), [], language="fr")
    parsed(text)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\u202e" not in text
    assert "\x00" not in text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        pytest.param("en", ["How good retrieval is", "0.631", "Right would be", "no reranker is configured"], id="en"),
        pytest.param(
            "fr", ["Ce que vaut la recherche", "0,631", "Il fallait", "aucun modèle de reclassement"], id="fr"
        ),
    ],
)
def test_a_page_speaks_one_language(language: str, said: list[str]) -> None:
    text = page(evaluation([[trial(["x", "a.md"])]]), [], language="fr" if language == "fr" else "en")
    assert [one for one in said if one not in text] == []


def test_both_languages_say_the_same_things() -> None:
    assert ENGLISH.keys() == FRENCH.keys()
    for key, text in ENGLISH.items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", FRENCH[key])), key


def test_a_comparison_says_whether_it_is_real_and_shows_what_changed() -> None:
    first = [trial(["x", "a.md"]) for _ in range(12)]
    second = [*(trial(["a.md"]) for _ in range(11)), trial(["x", "y", "a.md"])]
    done = evaluation([first, second])
    comparison = compared(done)
    assert comparison is not None
    assert (comparison.wins, comparison.losses, comparison.significant) == (11, 1, True)
    text = page(done, [], language="en")
    assert "B is better than A by +0.327" in text
    assert text.count('class="tag better"') == 11
    assert text.count('class="tag"') == 1


def test_what_searches_said_is_counted() -> None:
    slow = "the reranker did not answer in 3 s"
    done = evaluation([[trial(["a.md"], notes=[slow]), trial(["a.md"])]])
    text = page(done, [], language="en")
    assert f"{slow} (1 of 2 questions)" in text
    assert "Questions without a relevant document, which do not count: 3." in text


def test_each_collection_has_its_figures() -> None:
    done = evaluation([[trial(["a.md"]), trial(["x"]), trial(["a.md"])]])
    found = by_collection(done.set.questions, done.configurations[0])
    assert {name: (count, figures[0].mean) for name, (count, figures) in found.items()} == {
        "Hiver": (2, 1.0),
        "Été": (1, 0.0),
    }


def test_the_title_of_a_document_stands_beside_its_id() -> None:
    done = evaluation([[trial(["x"])]])
    chosen = replace(done.set, documents=[Document("a.md", "La pompe Zéphyr", "…")])
    assert "a.md · La pompe Zéphyr" in page(replace(done, set=chosen), [], language="fr")


def test_runs_are_kept_and_found_again(tmp_path: Path) -> None:
    first = evaluation([[trial(["a.md"])]], at=1000.0)
    other = replace(first, set=replace(first.set, fingerprint="f2"))
    for one in (first, other):
        keep(tmp_path, one)
    with (tmp_path / FILE).open("a", encoding="utf-8") as file:
        file.write("no json\n{}\n")
    now = evaluation([[trial(["x", "a.md"])]], at=2000.0)
    [run] = earlier(tmp_path, now)
    assert (run.at, run.version, run.row, run.figure.mean) == (1000.0, "1.0", "fused", 1.0)
    text = page(now, [run], language="en")
    assert "Earlier runs of this set" in text
    assert len(list(parsed(text).iter("svg"))) == 5
    assert earlier(tmp_path / "absent", now) == []


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"at": 1e300}, id="no year"),
        pytest.param({"at": -1e300}, id="before all years"),
        pytest.param({"at": float("nan")}, id="no time"),
        pytest.param({"head": "</script>"}, id="no way to search"),
        pytest.param({"rows": {"fused": {"nDCG@10": {"mean": float("nan"), "low": 0, "high": 1}}}}, id="no number"),
        pytest.param({"rows": {"fused": {"nDCG@10": {"mean": 1e308, "low": -1e308, "high": 1}}}}, id="beyond 1"),
        pytest.param({"overrides": {"a": 1}}, id="no text"),
    ],
)
def test_a_run_that_cannot_have_been_is_passed_over(tmp_path: Path, changed: Mapping[str, object]) -> None:
    keep(tmp_path, evaluation([[trial(["a.md"])]], at=1000.0))
    path = tmp_path / FILE
    path.write_text(f"{json.dumps(json.loads(path.read_text(encoding='utf-8')) | dict(changed))}\n", encoding="utf-8")
    keep(tmp_path, evaluation([[trial(["a.md"])]], at=1500.0))
    runs = earlier(tmp_path, evaluation([[trial(["a.md"])]], at=1e300))
    assert [run.at for run in runs] == [1500.0]


def test_a_run_that_was_killed_as_it_wrote_takes_no_other_with_it(tmp_path: Path) -> None:
    keep(tmp_path, evaluation([[trial(["a.md"])]], at=1000.0))
    with (tmp_path / FILE).open("a", encoding="utf-8") as file:
        file.write('{"at": 1200.0, "set": "je')
    keep(tmp_path, evaluation([[trial(["a.md"])]], at=1500.0))
    assert [run.at for run in earlier(tmp_path, evaluation([[trial(["a.md"])]], at=2000.0))] == [1000.0, 1500.0]


def test_a_run_of_another_configuration_is_no_part_of_the_trend(tmp_path: Path) -> None:
    keep(tmp_path, evaluation([[trial(["a.md"])]], at=1000.0, overrides={"retrieval.fusion": "rrf"}))
    now = evaluation([[trial(["a.md"])]], at=2000.0)
    runs = earlier(tmp_path, now)
    assert [dict(run.overrides) for run in runs] == [{"retrieval.fusion": "rrf"}]
    assert "Earlier runs of this set" not in page(now, runs, language="en")


def test_a_long_history_loses_its_older_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(1, 9):
        keep(tmp_path, evaluation([[trial(["a.md"])]], at=float(at)))
    monkeypatch.setattr(history, "MOST_BYTES", 10)
    keep(tmp_path, evaluation([[trial(["a.md"])]], at=9.0))
    lines = [json.loads(line)["at"] for line in (tmp_path / FILE).read_text(encoding="utf-8").splitlines()]
    assert lines == [5.0, 6.0, 7.0, 8.0, 9.0]


@pytest.mark.parametrize(
    ("language", "value", "digits", "said"),
    [
        pytest.param("en", 1234.5, 1, "1,234.5", id="en"),
        pytest.param("fr", 1234.5, 1, "1\u202f234,5", id="fr"),
        pytest.param("en", -0.0001, 3, "0.000", id="no-minus-zero"),
    ],
)
def test_numbers_are_written_as_in_the_language(language: str, value: float, digits: int, said: str) -> None:
    assert Speech("fr" if language == "fr" else "en").number(value, digits) == said


def test_an_element_escapes_texts_and_attributes_but_not_elements() -> None:
    made = el("p", "a < b", el("b", "&"), ["c", el("i")], class_='"x"', data_x=1, id=None)
    assert made == '<p class="&quot;x&quot;" data-x="1">a &lt; b<b>&amp;</b>c<i></i></p>'
