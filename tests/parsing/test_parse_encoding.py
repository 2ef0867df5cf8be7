"""Text in the encodings of half a century: how many phrases come out right, and that nothing makes it fail."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragline.pipelines.parse import parse
from ragline.pipelines.parse_types import TEXT
from ragline.pipelines.readers.text.encoding import decode

WESTERN = ("cp1252", "latin-1", "iso8859-15", "mac-roman", "cp850")

PHRASES = {
    "fr": (
        "café crème",
        "œuvre",
        "l’été – 12 €",
        "Un café crème à la façade dorée, s’il vous plaît — 3 €.",
        "Très cher élève, où êtes-vous passé ?",
        "Voilà",
        "Noël à Besançon",
        "ÉCOLE PRIMAIRE DE LA CITÉ",
        "À bientôt",
        "Le cœur a ses raisons que la raison ne connaît point.",
        "naïveté",
        "garçon",
        "Les élèves étudient l'histoire générale de la région.",
        "Montant dû : 1 250,50 € « à régler avant le 3 août »",
        "forêt",
        "La société Générale a déposé son bilan à l'été 2019.",
        "Rue de l’Évêché n° 12",
        "Mâcon, Nîmes, Alès, Béziers",
        "ambiguë",
        "Le préfet de région arrête :\r\nArticle 1er. – La présente décision sera notifiée.",
    ),
    "en": (
        "The naïve café owner’s résumé",
        "“Quoted text” – said the man",
        "Price: £12 or €15",
        "It is 20 °C in the shade of the house.",
        "The Brontë sisters wrote novels.",
    ),
    "de": (
        "Grüße aus München",
        "Straße",
        "Die schöne Frau hat einen Kaffee mit Kuchen für über zwölf Euro.",
        "Übung macht den Meister – „so ist es“",
        "ÜBERSICHT DER GEBÜHREN",
    ),
    "es": (
        "El niño comió piñas en España",
        "¿Qué pasó ayer?",
        "mañana",
        "La información pública está aquí",
        "¡Feliz año nuevo!",
    ),
    "it": ("perché è così", "La città è più bella"),
    "pt": ("A informação não está disponível", "São Paulo é a maior cidade"),
}
ELSEWHERE = (
    ("Zażółć gęślą jaźń", ("cp1250", "iso8859-2", "cp852")),
    ("Każdy człowiek rodzi się wolny i równy pod względem swej godności.", ("cp1250", "iso8859-2", "cp852")),
    ("Příliš žluťoučký kůň úpěl ďábelské ódy", ("cp1250", "iso8859-2", "cp852")),
    ("Minden emberi lény szabadon születik és egyenlő méltósága van.", ("cp1250", "iso8859-2", "cp852")),
    ("Все люди рождаются свободными и равными.", ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic")),
    ("Привет, мир!", ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic")),
    ("ПРИКАЗ О НАЗНАЧЕНИИ", ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic")),
    ("Усі люди народжуються вільними і рівними", ("cp1251", "koi8-u")),
    ("Όλοι οι άνθρωποι γεννιούνται ελεύθεροι", ("cp1253", "iso8859-7")),
    ("İstanbul'da güneşli bir gün yaşıyoruz", ("cp1254",)),
    ("כל בני האדם נולדו בני חורין ושווים", ("cp1255",)),
    ("يولد جميع الناس أحراراً متساوين", ("cp1256",)),
    ("人人生而自由，在尊严和权利上一律平等。", ("gb18030",)),
    ("人人生而自由，在尊嚴和權利上一律平等。", ("big5",)),
    ("人間は皆、生まれながらにして自由であり", ("shift_jis", "euc_jp", "iso2022_jp")),
    ("名前,年齢,住所\n佐藤太郎,30,東京", ("shift_jis",)),
    ("모든 인간은 태어날 때부터 자유로우며", ("euc_kr",)),
)


def encoded(phrase: str, encodings: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    for encoding in encodings:
        try:
            data = phrase.encode(encoding)
        except UnicodeEncodeError:
            continue
        if not data.isascii() or encoding == "iso2022_jp":
            yield encoding, data


def wrong(phrases: Iterator[tuple[str, tuple[str, ...]]]) -> tuple[list[tuple[str, str, str]], int]:
    cases = [(phrase, encoding, data) for phrase, encodings in phrases for encoding, data in encoded(phrase, encodings)]
    return [(encoding, phrase, got) for phrase, encoding, data in cases if (got := decode(data)) != phrase], len(cases)


def test_short_texts_of_western_europe_come_out_right() -> None:
    missed, cases = wrong((phrase, WESTERN) for phrases in PHRASES.values() for phrase in phrases)
    assert cases > 160
    assert missed == []


def test_short_texts_of_other_languages_come_out_right() -> None:
    missed, cases = wrong(iter(ELSEWHERE))
    assert cases > 40
    assert missed == []


_WORDS = """même élève déjà côté création année problème qualité réponse général préfet intérêt contrôle connaître
    février décembre téléphone énergie équipe période matière lumière manière dernière légère entière procédure éléments
    dépôt gêner bâtiment théâtre dîner flûte brûler août aîné traîner protégé complété désordre arrière colère
    français leçon reçu aperçu façade commerçant remplaçant héros zèle fièvre siècle modèle épreuve"""
FRENCH_WORDS = _WORDS.split()


def test_most_single_words_are_right_and_nearly_all_in_a_text() -> None:
    alone, _ = wrong((word, WESTERN) for word in FRENCH_WORDS)
    assert len(alone) <= 0.09 * len(FRENCH_WORDS) * len(WESTERN)
    lines = (f"Le texte de la commune est pour tous dans les cartons, avec {word}." for word in FRENCH_WORDS)
    in_text, cases = wrong((line, WESTERN) for line in lines)
    assert len(in_text) <= 0.02 * cases


@pytest.mark.parametrize("encoding", WESTERN)
def test_one_accent_in_a_long_text_is_enough_wherever_it_stands(encoding: str) -> None:
    line = "Le texte de la commune est dans les cartons et pour tous.\n"
    for before, after in ((0, 1800), (1800, 0), (900, 900), (25_000, 10)):
        text = line * before + "Il a mangé hier.\n" + line * after
        assert decode(text.encode(encoding)) == text


def test_a_long_text_is_decoded_by_words_from_all_over_it() -> None:
    text = "prix 5 «» " * 300 + "Les élèves ont reçu leur diplôme à la fête de l'été. " * 3000
    assert decode(text.encode("mac-roman")) == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-be"])
def test_unicode_is_known_with_and_without_a_mark(encoding: str) -> None:
    text = "Un café crème à Nîmes, 3 €.\nПривет"
    assert decode(text.encode(encoding)) == text


def test_what_is_declared_is_believed_unless_the_bytes_are_utf_8() -> None:
    assert decode("été".encode("cp850"), "cp850") == "été"
    assert decode("été".encode(), "iso-8859-1") == "été"
    assert decode(b"12 \x80 \x93", "iso-8859-1") == "12 € “"
    assert decode("人人".encode("gbk"), "gb2312") == "人人"
    assert decode("été".encode("utf-16-le"), "utf-16-le") == "été"
    for nonsense in ("no-such-encoding", "base64", "idna", "x" * 5000, "utf-8\x00", ""):
        assert decode("été".encode(), nonsense) == "été"


def test_lines_of_other_encodings_among_utf_8_come_out_right() -> None:
    utf_8, old = "Première ligne : déjà vu\n".encode(), "Deuxième ligne : à côté\n".encode("cp1252")
    assert decode(utf_8 + old + utf_8).split("\n")[1] == "Deuxième ligne : à côté"
    assert decode(old * 5 + utf_8).split("\n")[5] == "Première ligne : déjà vu"


def test_bytes_that_fit_nothing_are_shown_and_noted(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes("début ".encode() + b"\xff\xfe" + " de l’été".encode())
    parsed = parse(file, "a.txt", TEXT)
    assert parsed.elements[0].text == "début \ufffd\ufffd de l’été"
    assert parsed.notes == [
        "2 of its 17 characters fit no encoding of text and are shown as \ufffd; save it as UTF-8",
    ]


def test_a_sign_that_says_itself_that_something_was_lost_is_not_noted(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("perdu \ufffd ici")
    assert parse(file, "a.txt", TEXT).notes == []


def test_no_bytes_make_it_fail_or_slow() -> None:
    chance = random.Random(5)
    for size in (1, 2, 3, 5, 100, 5000):
        for _ in range(8):
            assert isinstance(decode(chance.randbytes(size)), str)
    start = time.process_time()
    for data in (b"\xe9" * 3_000_000, b"a\xe9 " * 1_000_000, b"a" * 3_000_000 + b"\xe9", chance.randbytes(3_000_000)):
        assert decode(data)
    assert time.process_time() - start < 5
