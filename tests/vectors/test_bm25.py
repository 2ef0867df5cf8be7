"""Which words find which: analysis of passages in their language and of questions in any."""

from __future__ import annotations

import pytest

from ragline.connectors.vectors.bm25 import passage_vector, query_vector


def common(question: str, passage: str, language: str) -> int:
    """Return how many words of the question the passage has."""
    return len(set(query_vector(question).indices) & set(passage_vector(passage, language).indices))


@pytest.mark.parametrize(
    ("question", "passage", "language"),
    [
        pytest.param("réclamations", "une réclamation écrite", "fr", id="french-plural"),
        pytest.param("reclamation", "les RÉCLAMATIONS", "fr", id="capitals-and-accents"),
        pytest.param("ete", "l'été", "fr", id="no-accent-asked"),
        pytest.param("été", "ete", "fr", id="no-accent-written"),
        pytest.param("e\u0301te\u0301", "l'été", "fr", id="decomposed-accents"),
        pytest.param("assurance", "l'assurance", "fr", id="elision-written"),
        pytest.param("l'assurance", "des assurances", "fr", id="elision-asked"),
        pytest.param("l’assurance", "assurance", "fr", id="typographic-apostrophe-asked"),
        pytest.param("assurance", "L’assurance", "fr", id="typographic-apostrophe-written"),
        pytest.param("eau", "jusqu'à l'eau", "fr", id="short-word-after-elision"),
        pytest.param("accord", "lorsqu’accord il y a", "fr", id="long-elision"),
        pytest.param("aujourd’hui", "aujourd'hui", "fr", id="aujourd-hui"),
        pytest.param("eau", "l'eau", "en", id="elision-in-a-passage-taken-for-english"),
        pytest.param("running", "I run", "en", id="english-stem"),
        pytest.param("policies", "The policy", "en", id="english-plural"),
        pytest.param("ZP-8841", "pump ZP-8841", "en", id="code"),
        pytest.param("8841", "pump ZP-8841", "fr", id="number-of-a-code"),
        pytest.param("zp-8841", "Pumpe ZP-8841", "de", id="code-in-another-language"),
        pytest.param("œuvre", "oeuvre", "fr", id="ligature"),
        pytest.param("Versicherung", "Die Versicherung", "de", id="same-word-of-another-language"),
        pytest.param(
            "Welche Versicherungen zahlen bei den Schäden", "Die Versicherung", "de", id="question-in-another-language"
        ),
        pytest.param("договор", "Этот договор", "ru", id="cyrillic"),
        pytest.param("夏", "夏", "ja", id="language-without-stemmer"),
        pytest.param("maison", "Maison", "xx", id="unknown-language"),
        pytest.param("OEUVRE", "l’Œuvre", "fr", id="ligature-in-capitals"),
        pytest.param("officiel", "o\ufb03ciel", "fr", id="typographic-ligature"),
        pytest.param("assurance", "as\xadsu\xadrance", "fr", id="soft-hyphens"),
        pytest.param("ecole", "ÉCOLE", "fr", id="capital-with-accent"),
        pytest.param("assurance", "l‘assurance et d´assurance", "fr", id="other-apostrophes"),
        pytest.param("c'est-à-dire dire", "c’est-à-dire", "fr", id="c-est-a-dire"),
        pytest.param("Strasse", "Die Straße", "de", id="sharp-s"),
        pytest.param("haeuser häuser", "Das Haus, die Häuser", "de", id="umlaut"),
        pytest.param("ещё елка", "Ёлка в лесу", "ru", id="russian-yo"),
        pytest.param("договоры", "Этот договор", "ru", id="russian-plural-alone"),
        pytest.param("ΑΘΗΝΑ", "στην Αθήνα", "el", id="greek-capitals"),
        pytest.param("Αθήνας", "στην Αθήνα", "el", id="greek-case"),
        pytest.param("كتاب", "الكِتَابُ", "ar", id="arabic-vowels-and-article"),
        pytest.param("夏", "夏目漱石の猫", "ja", id="one-character"),
        pytest.param("東京都庁", "東京都庁舎の建設", "ja", id="japanese-compound"),
        pytest.param("合同终止", "本合同何时终止？", "zh", id="chinese-words"),
        pytest.param("ไทย", "ประเทศไทย", "th", id="thai"),
        pytest.param("한국어", "한국어를 배운다", "ko", id="korean-particle"),
        pytest.param("हिन्दी", "हिन्दी भाषा", "hi", id="devanagari"),
    ],
)
def test_a_question_finds_the_passage(question: str, passage: str, language: str) -> None:
    assert common(question, passage, language) >= 1


@pytest.mark.parametrize(
    ("question", "passage", "language"),
    [
        pytest.param("Qu'est-ce que c'est que la vie ?", "Ce qu'il est de la mer", "fr", id="french-function-words"),
        pytest.param("What is the meaning of this?", "It is of the sea", "en", id="english-function-words"),
        pytest.param("what is the meaning of tea", "le mot the is of what", "fr", id="english-words-quoted-in-french"),
        pytest.param("Quel est le prix de l'eau", "le est de quel", "en", id="french-words-quoted-in-english"),
        pytest.param("assurance", "rassurant", "fr", id="part-of-a-word"),
        pytest.param("猫", "犬", "ja", id="other-character"),
        pytest.param("Quels sont les délais ?", "für über können wäre", "fr", id="nothing-in-common"),
    ],
)
def test_words_without_meaning_find_nothing(question: str, passage: str, language: str) -> None:
    assert common(question, passage, language) == 0


def test_a_word_that_is_a_stop_word_elsewhere_is_kept_in_its_language() -> None:
    assert common("car insurance", "the car", "en") == 1
    assert common("Quel est le cours de l'or", "l'or", "fr") == 1


def test_question_words_weigh_one_and_ids_are_distinct() -> None:
    vector = query_vector("réclamations réclamation running")
    assert set(vector.values) == {1.0}
    assert len(set(vector.indices)) == len(vector.indices) == len(vector.values)


def test_a_passage_weighs_its_words_by_bm25() -> None:
    """tf (k1 + 1) / (tf + k1 (1 - b + b length / average)) with k1 1.2, b .75, average 110; here length is 3."""
    weights = sorted(passage_vector("heron heron tree", "en").values)
    norm = 1.2 * (0.25 + 0.75 * 3 / 110)
    assert weights == pytest.approx([2.2 / (1 + norm), 2 * 2.2 / (2 + norm)], abs=1e-6)


@pytest.mark.parametrize("text", ["", "   ", "?! —", "the of and"])
def test_a_text_without_words_gives_an_empty_vector(text: str) -> None:
    assert list(passage_vector(text, "en").indices) == []
    assert list(query_vector(text if text != "the of and" else "").indices) == []


def test_the_same_text_gives_the_same_vector() -> None:
    assert passage_vector("L'été à Paris", "fr") == passage_vector("L'été à Paris", "fr")
    assert query_vector("L'été à Paris") == query_vector("L'été à Paris")
