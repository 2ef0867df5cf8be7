"""What counts beside relevance: unlikeness of the passages, and how young their files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from ragline.retrieval.preferences import age_days, as_moment, diverse, younger_first
from ragline.types import Chunk, FileRecord, Hit, Json, Passage, Status

DAY_S = 86_400


def hit(name: str, score: float, *, cosine: float = 0.0, text: str = "") -> Hit:
    chunk = Chunk(0, text or name, 0, len(text or name), "", None, "fr")
    return Hit(Passage(name, f"file-{name}", "v", "u", f"{name}.txt", chunk), score, cosine)


def names(hits: Sequence[Hit]) -> str:
    return "".join(found.passage.id for found in hits)


def scores(hits: Sequence[Hit]) -> list[float]:
    return [found.score for found in hits]


SIXTY = (0.5, 0.75**0.5)
"""A vector at 60 degrees from (1, 0): cosine 0.5."""


def test_of_two_alike_passages_the_second_stands_behind_one_that_is_not() -> None:
    hits = [hit("a", 10.0), hit("b", 9.0), hit("c", 6.0), hit("d", 0.0)]
    vectors = {"a": (1.0, 0.0), "b": (1.0, 0.0), "c": (0.0, 1.0), "d": SIXTY}
    found = diverse(hits, vectors, weight=0.5, limit=4)
    # c: 0.5 * 0.6 - 0.5 * 0; b: 0.5 * 0.9 - 0.5 * 1; d: 0 - 0.5 * cos 30 degrees, to c
    assert names(found) == "acbd"
    assert scores(found) == pytest.approx([0.5, 0.3, -0.05, -0.5 * 0.75**0.5])
    assert names(diverse(hits, vectors, weight=0.5, limit=2)) == "ac"


def test_likeness_counts_from_the_least_cosine_there_is() -> None:
    """Models give 0.7 and more to texts that have nothing in common."""
    hits = [hit("a", 10.0, cosine=0.5), hit("b", 9.0, cosine=0.75), hit("c", 0.0, cosine=0.6)]
    vectors = {"a": (1.0, 0.0), "b": SIXTY, "c": SIXTY}
    assert scores(diverse(hits, vectors, weight=0.5, limit=3)) == pytest.approx([0.5, 0.45, -0.5])


def test_nothing_is_preferred_without_weight_and_unlikeness_alone_with_all_of_it() -> None:
    hits = [hit("a", 3.0), hit("b", 2.0), hit("c", 1.0)]
    vectors = {"a": (1.0, 0.0), "b": (1.0, 0.0), "c": (0.0, 1.0)}
    assert diverse(hits, vectors, weight=0, limit=2) == hits[:2]
    assert names(diverse(hits, vectors, weight=1, limit=3)) == "acb"


def test_passages_without_a_vector_are_compared_by_their_words() -> None:
    hits = [
        hit("a", 3.0, text="La garantie dure 27 mois."),
        hit("b", 2.9, text="la GARANTIE dure 27 mois"),
        hit("c", 2.0, text="Le manuel est en annexe."),
        hit("d", 0.0),
    ]
    found = diverse(hits, {"d": (1.0, 0.0)}, weight=0.5, limit=4)
    assert names(found) == "acdb"
    assert scores(found) == pytest.approx([0.5, 0.5 * 2 / 3, 0, 0.5 * 2.9 / 3 - 0.5])


@pytest.mark.parametrize("text", ["", "…", "\ud800"])
def test_passages_without_a_word_are_alike(text: str) -> None:
    found = diverse([hit("a", 1.0, text=text or " "), hit("b", 1.0, text=text or " ")], {}, weight=0.5, limit=9)
    assert scores(found) == [0.5, 0.0]


def test_few_hits_are_as_good_as_many() -> None:
    assert diverse([], {}, weight=0.5, limit=3) == []
    assert younger_first([], {}, weight=0.5, half_life_days=10) == []
    assert scores(diverse([hit("a", 7.0)], {"a": (1.0, 0.0)}, weight=0.4, limit=3)) == pytest.approx([0.6])
    same = [hit("a", 1.0, cosine=1.0), hit("b", 1.0, cosine=1.0)]
    assert scores(diverse(same, {"a": (1.0, 0.0), "b": (1.0, 0.0)}, weight=0.5, limit=3)) == [0.5, 0.0]


def test_equal_input_gives_equal_order() -> None:
    hits = [hit(str(number), 1.0) for number in range(50)]
    assert diverse(hits, {}, weight=0.3, limit=50) == diverse(hits, {}, weight=0.3, limit=50)
    assert names(younger_first(hits, {}, weight=0.3, half_life_days=1)) == names(hits)


HITS = [hit("a", 4.0), hit("b", 3.0), hit("c", 2.0)]
AGES: Mapping[str, float] = {"file-a": 360.0, "file-b": 0.0}


def test_age_is_mixed_into_the_score_by_its_weight() -> None:
    found = younger_first(HITS, AGES, weight=0.5, half_life_days=180)
    assert names(found) == "bac"  # b is new, a two half-lives old, c has no age: it is new
    assert scores(found) == pytest.approx([0.5 * 0.5 + 0.5, 0.5 * 1 + 0.5 * 0.25, 0.5 * 0 + 0.5])


def test_weight_0_changes_nothing_and_1_is_age_alone() -> None:
    assert younger_first(HITS, AGES, weight=0, half_life_days=180) == HITS
    found = younger_first(HITS, AGES, weight=1, half_life_days=180)
    assert (names(found), scores(found)) == ("bca", [1.0, 1.0, 0.25])


def test_no_half_life_is_too_short_or_too_long() -> None:
    assert scores(younger_first(HITS, AGES, weight=1, half_life_days=1e-300)) == [1.0, 1.0, 0.0]
    assert scores(younger_first(HITS, AGES, weight=1, half_life_days=1e300)) == [1.0, 1.0, 1.0]


NOW = datetime(2024, 7, 1, tzinfo=UTC).timestamp()


def file_of(metadata: Mapping[str, Json], document: Mapping[str, Json]) -> FileRecord:
    uploaded = int(NOW) - 5 * DAY_S
    return FileRecord(
        id="f", user_id="u", filename="été.txt", content_type="text/plain", size_bytes=1, sha256="", blob="",
        version="v", status=Status.COMPLETED, stage="done", progress=1, error=None, failure=None, chunk_count=1,
        flow_run_id=None, metadata=metadata, attempts=1, interruptions=0, queued_at=0, untidy=0, created_at=uploaded,
        updated_at=int(NOW), document=document,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("metadata", "document", "days"),
    [
        pytest.param({"date": "2024-06-21"}, {"about": {"date": "2020-01-01"}}, 10, id="its metadata"),
        pytest.param({"date": "hier"}, {"about": {"date": "2024-06-29T12:00:00+00:00"}}, 1.5, id="what it says"),
        pytest.param({"date": 20240621}, {"about": {"date": None}, "notes": []}, 5, id="its upload"),
        pytest.param({}, {"about": "2020-01-01"}, 5, id="no mapping"),
        pytest.param({"date": "2999-01-01"}, {}, 0, id="the future is new"),
    ],
)
def test_the_age_of_a_file_is_that_of_its_own_date(
    metadata: Mapping[str, Json], document: Mapping[str, Json], days: float
) -> None:
    assert age_days(file_of(metadata, document), now=NOW) == pytest.approx(days)


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        pytest.param("1970-01-02", DAY_S, id="day"),
        pytest.param(" 1970-01-01T01:00:00Z ", 3600, id="utc"),
        pytest.param("1970-01-01T02:00:00+01:00", 3600, id="zone"),
        pytest.param("19700102", DAY_S, id="basic"),
        pytest.param("1971", 365 * DAY_S, id="year"),
        pytest.param("1970-02", 31 * DAY_S, id="month"),
        pytest.param("Fri, 02 Jan 1970 01:00:00 +0100", DAY_S, id="rfc-2822"),
        pytest.param("2 Jan 1970 00:00:00 -0000", DAY_S, id="rfc-2822-without-zone"),
        pytest.param("1969-12-31", -DAY_S, id="before-1970"),
        pytest.param("", None, id="empty"),
        pytest.param("12 mars 2024", None, id="prose"),
        pytest.param("2024-13-01", None, id="no-month"),
        pytest.param("٢٠٢٤", None, id="other-digits"),
        pytest.param("Fri, 99 Jan 99999999999 99:99:99 +9999", None, id="beyond"),
        pytest.param("1" * 10_000_000, None, id="megabytes"),
        pytest.param(2024, None, id="number"),
        pytest.param(["2024-01-01"], None, id="list"),
    ],
)
def test_dates_are_iso_or_rfc_2822(date: Json, moment: float | None) -> None:
    assert as_moment(date) == moment


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1 1 1 1 1 1", ", ,", "+"])
def test_no_date_breaks_a_search(date: str) -> None:
    moment = as_moment(date)
    assert moment is None or abs(moment) < 1e12
