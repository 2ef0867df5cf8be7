"""Which language a text is in."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragline.language import language_of

BEIR = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "beir"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Pourquoi le ciel est-il bleu ?", "fr"),
        ("What is the warranty?", "en"),
        ("Quel est le délai de réclamation ?", "fr"),
        ("opening hours", "en"),
        ("horaires d’ouverture", "fr"),
        ("Combien d'employeurs", "fr"),
        ("price list", "en"),
        ("politique de remboursement", "fr"),
        ("heures ouverture", "fr"),
        ("What's Thomas Piketty's job?", "en"),
        ("How are ergänzungsschulen funded?", "en"),
        ("Was ist die Hauptstadt von Deutschland?", "de"),
        ("¿Cuál es la capital de España y cómo se llega?", "es"),
        ("Qual è la capitale d'Italia e come si arriva?", "it"),
        ("Qual é a capital de Portugal e como se chega lá?", "pt"),
        ("Wat is de hoofdstad van Nederland en hoe kom je er?", "nl"),
        ("Какой гарантийный срок?", "ru"),
        ("保証期間はどのくらいですか", "ja"),
        ("保修期是多久", "zh"),
        ("보증 기간은 얼마입니까", "ko"),
        ("The poet Пушкин was born in Moscow", "en"),
    ],
)
def test_a_question_is_in_its_language(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("text", ["", "  \n", "12345", "GPT-4", "?!"])
def test_a_text_that_says_nothing_is_in_the_default(text: str) -> None:
    assert language_of(text) == "en"
    assert language_of(text, default="fr") == "fr"


def test_a_long_text_is_looked_at_in_several_places() -> None:
    cover = "Copyright notice of the publisher and all the other owners of the rights in this document. " * 5
    body = "Le contrat est conclu pour une durée de deux ans et peut être résilié par les parties. " * 200
    assert language_of(cover + body) == "fr"


def test_a_huge_text_costs_no_more_than_a_page() -> None:
    started = time.process_time()
    for _ in range(20):
        language_of("le chat et la souris " * 500_000)
    assert time.process_time() - started < 0.5


def test_the_language_comes_without_a_library() -> None:
    code = "import sys; import ragline.language; sys.exit(any(m in sys.modules for m in ('numpy', 'langdetect')))"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not BEIR.is_dir(), reason="needs the shared data")
@pytest.mark.parametrize(
    ("data", "language", "wrong"), [("piaf_a", "fr", 4), ("xquad_en", "en", 2), ("scifact", "en", 1)]
)
def test_real_questions_are_told_apart(data: str, language: str, wrong: int) -> None:
    questions = [json.loads(line)["text"] for line in (BEIR / data / "queries.jsonl").read_text("utf-8").splitlines()]
    missed = [question for question in questions if language_of(question) != language]
    assert len(missed) <= wrong, missed[:10]
