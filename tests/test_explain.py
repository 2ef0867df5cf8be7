"""An explanation on a terminal and as a page: nothing in a document can break either."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragline.cli import main
from ragline.cli.explained import WIDTH, lines_of
from ragline.cli.explaining import wishes
from ragline.errors import BadInput
from ragline.retrieval.explain_page import page
from ragline.retrieval.explain_words import ENGLISH, FRENCH
from ragline.retrieval.explained import Explanation, Given, Outcome, Place, Stage, Traced, Weighing, Word
from ragline.retrieval.widths import cut, wide

EVIL = '</title><script>alert("1")</script>\x1b[31m\u202e & <b>é'


def traced(number: int, *, outcome: Outcome = "shown", final: int | None = None, words: int | None = None) -> Traced:
    orders = {"dense": Place(rank=number, score=0.9 - number / 100), "fused": Place(rank=number, score=3.0 - number)}
    if words is not None:
        orders["words"] = Place(rank=words, score=20.0 - words)
    if final is not None:
        orders["final"] = Place(rank=final, score=1.0)
    return Traced(
        passage_id=str(number),
        file_id="f",
        name=f"rapport {number} 東京.pdf",
        page=number,
        heading="Été",
        text=f"Le passage {number} parle de la pompe. " * 6,
        cosine=0.9 - number / 100,
        lexical=0.0 if words is None else 20.0 - words,
        relevance=0.5,
        orders=orders,
        outcome=outcome,
    )


def explanation(
    passages: Sequence[Traced], *, question: str = "Où est la pompe ?", notes: Sequence[str] = ()
) -> Explanation:
    return Explanation(
        question=question,
        searched="",
        language="fr",
        cut_off=0,
        words=[Word(word="Où", passages=None), Word(word="pompe", passages=2)],
        weighing=Weighing(
            fusion="distribution",
            dense_weight=0.4,
            top_k=8,
            candidates=50,
            min_relevance=0.05,
            diversity=0.0,
            recency=0.0,
            reranker="none",
        ),
        stages=[Stage(name="resolved", passages=0, ms=1.5), Stage(name="candidates", passages=len(passages), ms=4.25)],
        candidates=len(passages),
        passages=list(passages),
        context=[Given(number=1, name="rapport 1.pdf", page=1, tokens=12, text="Le passage 1.\n\nLa suite.")]
        if passages
        else [],
        context_tokens=12,
        budget_tokens=3000,
        notes=list(notes),
    )


SAMPLE = explanation(
    [
        traced(1, final=1, words=2),
        traced(2, final=2, words=1),
        traced(3, outcome="irrelevant"),
        *(traced(number, outcome="outranked") for number in range(4, 31)),
    ]
)


class Reader(HTMLParser):
    """Counts elements, and fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "meta":
            assert self.open.pop() == tag


def read(markup: str) -> Reader:
    reader = Reader()
    reader.feed(markup)
    assert reader.open == []
    return reader


def test_the_terminal_shows_each_place_and_why_the_rest_is_left_out() -> None:
    lines = list(lines_of(SAMPLE, all_rows=False))
    assert "question  Où est la pompe ?" in lines
    assert "words     pompe 2 of 30 candidates; not searched for: Où" in lines
    assert any(line.startswith("weights   meaning 0.40, words 0.60 (distribution), top_k 8") for line in lines)
    assert "     1.5 ms  looked up" in lines
    assert "     4.2 ms  candidates found: 30" in lines
    first = next(line for line in lines if line.startswith("  1 "))
    assert first.split()[:7] == ["1", "1", "2", "1", "0.890", "18.00", "0.50"]
    assert "    — none was relevant enough:" in lines
    assert "    — too far behind to be judged:" in lines
    assert "… and 10 more candidates (--all shows 10 of them)" in lines
    assert "context: 12 of 3000 tokens in 1 texts" in lines
    assert max(map(wide, lines)) <= WIDTH
    assert sum(" rapport " in line for line in lines_of(SAMPLE, all_rows=True)) == 31


@pytest.mark.parametrize("question", [EVIL, "東京" * 4000, "a" * 8000, "\n\n", "🚀" * 300])
def test_no_question_breaks_the_terminal(question: str) -> None:
    lines = list(lines_of(explanation([traced(1, final=1)], question=question, notes=[question]), all_rows=True))
    assert max(map(wide, lines)) <= 2 * WIDTH
    assert not any(re.search("[\x00-\x1f\u202e]", line) for line in lines)


def test_nothing_found_says_so() -> None:
    assert list(lines_of(explanation([]), all_rows=False))[-1] == "nothing was found"
    assert "Rien n&#x27;a été trouvé." in page(explanation([]), language="fr")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_page_is_whole_and_needs_nothing_else(language: str) -> None:
    made = page(SAMPLE, language="fr" if language == "fr" else "en")
    seen = read(made).seen
    assert f'<html lang="{language}">' in made
    assert {"script", "link", "img", "iframe"}.isdisjoint(seen)
    assert "http" not in made
    assert "\ufffd" not in made
    assert '<p dir="auto">Le passage 1.</p><p dir="auto">La suite.</p>' in made
    assert "prefers-color-scheme: dark" in made
    assert seen.count("tr") == 1 + 24
    assert ("6 autres candidats" if language == "fr" else "6 more candidates") in made
    assert ("par le sens" if language == "fr" else "by meaning") in made


def test_the_drawing_has_a_box_in_each_order_and_lines_between_them() -> None:
    made = page(SAMPLE, language="en")
    drawing = ET.fromstring(made[made.index("<svg") : made.index("</svg>") + 6])
    titles = [text.text for text in drawing.iter("text") if text.get("class") == "head"]
    assert titles == ["by meaning", "by words", "both together", "for the model"]
    boxes = [group.get("class") for group in drawing.iter("g")]
    assert (boxes.count("way c0"), boxes.count("way c1")) == (4, 4)
    assert boxes.count("way off") == 12 * 2  # places 3 to 14 by meaning and fused
    paths = [path.get("class") for path in drawing.iter("path")]
    assert (paths.count("way c0"), paths.count("way c1")) == (3, 3)


def test_what_documents_and_questions_say_is_text_in_the_page() -> None:
    nasty = traced(1, final=1).model_copy(update={"name": EVIL, "text": EVIL, "heading": EVIL})
    given = Given(number=1, name=EVIL, page=None, tokens=1, text=EVIL)
    said = explanation([nasty], question=EVIL, notes=[EVIL]).model_copy(
        update={"words": [Word(word=EVIL, passages=1)], "context": [given], "searched": EVIL}
    )
    made = page(said, language="en")
    assert "script" not in read(made).seen
    assert "<b>é" not in made
    assert not re.search("[\x1b\u202e]", made)


def test_both_languages_say_the_same_things() -> None:
    assert set(ENGLISH) == set(FRENCH)
    for key, text in ENGLISH.items():
        assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", FRENCH[key]), key


@pytest.mark.parametrize(
    ("text", "width", "kept"),
    [
        pytest.param("pompe", 5, "pompe", id="fits"),
        pytest.param("pompes", 5, "pomp…", id="too-long"),
        pytest.param("東京都庁", 5, "東京…", id="wide"),
        pytest.param("la pompe", 4, "la…", id="no-blank-at-the-end"),
        pytest.param("e\u0301t", 2, "e\u0301t", id="accents-take-nothing"),
        pytest.param("", 3, "", id="empty"),
    ],
)
def test_a_text_is_cut_to_columns(text: str, width: int, kept: str) -> None:
    assert cut(text, width) == kept


def test_values_for_one_search_are_read_and_checked() -> None:
    given = ["top_k=5", "retrieval.fusion=rrf", "lexical=false", "dense_weight=0.25"]
    assert wishes(given) == {"top_k": 5, "fusion": "rrf", "lexical": False, "dense_weight": 0.25}
    assert wishes([]) == {}
    for wrong, said in (
        ("top_k", "write a name and its value"),
        ("top_k=0", "--set: top_k: '0' is not allowed: it takes a whole number, more than 0, at most 200"),
        ("fusion=x", "--set: fusion: 'x' is not allowed: it takes one of distribution, minmax, rrf"),
        ("colour=red", "--set: there is no setting 'colour'; there are top_k, candidates"),
    ):
        with pytest.raises(BadInput, match=said):
            wishes([wrong])


@pytest.mark.parametrize("question", ["", "  \n"])
def test_a_question_without_words_is_wrong_usage(question: str) -> None:
    done = CliRunner().invoke(main, ["explain", question])
    assert (done.exit_code, "the question is empty" in done.stderr) == (2, True)


def test_the_command_explains_and_writes_a_page(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models_folder)
    (tmp_path / "pompe.txt").write_text("La garantie de la pompe Zéphyr est de 27 mois.")
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    done = run(main, ["ingest", "pompe.txt", "--collection", "notices", "--data-dir", "data"])
    assert done.exit_code == 0, done.output
    asked = ["explain", "durée de la garantie", "--collection", "notices", "--data-dir", "data"]
    done = run(main, asked)
    assert done.exit_code == 0, done.output
    assert re.search(r"^  1 +1 +1 +1 .* pompe\.txt +La garantie de la pompe", done.output, re.MULTILINE), done.output
    done = run(main, [*asked, "--html", "e.html", "--json", "--set", "top_k=1"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["weighing"]["top_k"], said["passages"][0]["outcome"]) == (1, "shown")
    assert "Comment cela a été cherché" in (tmp_path / "e.html").read_text()
    done = run(main, ["explain", "x", "--collection", "aucune", "--data-dir", "data"])
    assert (done.exit_code, "aucune" in done.output) == (1, True)
    done = run(main, [*asked, "--html", "no/folder.html"])
    assert (done.exit_code, "--html: there is no folder" in done.output) == (1, True)
