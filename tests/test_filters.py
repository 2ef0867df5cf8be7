"""Filters on metadata: both notations, what they match, and what is refused with the place."""

from __future__ import annotations

from typing import Any

import pytest

from ragline.errors import Invalid
from ragline.retrieval.filters import Condition, Where, facts, matches, of_metadata, of_openai
from ragline.types import FileRecord, Status

REPORT: dict[str, Any] = {
    "year": 2024,
    "lang": "fr",
    "size": 5,
    "draft": False,
    "tags": ["été", "pompe"],
    "on": "2024-05-31",
}


def compare(key: str, operator: str, value: object) -> dict[str, object]:
    return {"type": operator, "key": key, "value": value}


def test_both_notations_read_as_the_same_filter() -> None:
    ours = of_metadata({"year": 2024, "lang": ["fr", "en"], "size": {"gte": 3, "lt": 9}})
    theirs = of_openai(
        {
            "type": "and",
            "filters": [
                compare("year", "eq", 2024),
                compare("lang", "in", ["fr", "en"]),
                compare("size", "gte", 3),
                compare("size", "lt", 9),
            ],
        }
    )
    assert ours == theirs
    assert ours.parts[1] == Condition("lang", "in", ("fr", "en"))
    assert of_openai(compare("year", "eq", 2024)) == Where((Condition("year", "eq", 2024),))


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        pytest.param({}, True, id="nothing-asked"),
        pytest.param({"year": 2024}, True, id="equal"),
        pytest.param({"year": 2024.0}, True, id="a-number-is-a-number"),
        pytest.param({"year": "2024"}, False, id="a-text-is-no-number"),
        pytest.param({"draft": False}, True, id="truth"),
        pytest.param({"draft": 0}, False, id="zero-is-not-false"),
        pytest.param({"year": True}, False, id="true-is-no-number"),
        pytest.param({"year": 2024, "lang": "en"}, False, id="all-keys"),
        pytest.param({"lang": ["en", "fr"]}, True, id="any-of"),
        pytest.param({"lang": []}, False, id="any-of-nothing"),
        pytest.param({"size": {"gte": 3, "lt": 9}}, True, id="between"),
        pytest.param({"size": {"gt": 5}}, False, id="greater"),
        pytest.param({"size": {"lte": 5}}, True, id="at-most"),
        pytest.param({"on": {"gte": "2024-01-01", "lt": "2025-01-01"}}, True, id="dates"),
        pytest.param({"lang": {"gt": 1}}, False, id="text-against-number"),
        pytest.param({"tags": "pompe"}, True, id="one-of-a-list"),
        pytest.param({"tags": "e\u0301te\u0301"}, True, id="accents-however-written"),
        pytest.param({"tags": {"ne": "pompe"}}, False, id="none-of-a-list"),
        pytest.param({"tags": {"nin": ["vélo", "auto"]}}, True, id="not-in"),
        pytest.param({"missing": 1}, False, id="missing"),
        pytest.param({"missing": {"lt": 1}}, False, id="missing-has-no-order"),
        pytest.param({"missing": {"ne": 1}}, True, id="missing-is-not-equal"),
        pytest.param({"missing": {"nin": [1]}}, True, id="missing-is-not-in"),
    ],
)
def test_what_a_filter_fits(given: dict[str, object], *, fits: bool) -> None:
    assert matches(of_metadata(given), REPORT) is fits


def test_or_inside_and() -> None:
    either = {"type": "or", "filters": [compare("lang", "eq", "en"), compare("year", "gt", 2023)]}
    assert matches(of_openai({"type": "and", "filters": [either, compare("draft", "ne", True)]}), REPORT)
    assert not matches(of_openai({"type": "and", "filters": [either, compare("draft", "eq", True)]}), REPORT)


def test_a_file_is_known_by_its_own_facts_and_its_metadata_comes_first() -> None:
    file = FileRecord(
        "1", "u", "été.pdf", "application/pdf", 7, "ab", "b", None, Status.COMPLETED, "done", 1.0, None, None, 1, None,
        metadata={"size": "petit"}, attempts=1, interruptions=0, queued_at=0.0, untidy=0, created_at=9, updated_at=9,
    )  # fmt: skip
    assert facts(file) | {"sha256": "ab"} == {
        "name": "été.pdf",
        "filename": "été.pdf",
        "content_type": "application/pdf",
        "size": "petit",
        "created_at": 9,
        "sha256": "ab",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"year": {"above": 1}}, "metadata.year.above: no operator 'above'; known: eq, ne,", id="operator"),
        pytest.param({"year": {}}, "metadata.year: names no operator", id="no-operator"),
        pytest.param({"year": None}, "metadata.year: must be a text, a number", id="null"),
        pytest.param({"year": [1, [2]]}, r"metadata.year\[1\]: must be", id="list-in-list"),
        pytest.param({"year": {"in": 3}}, "metadata.year.in: needs a list", id="in-needs-a-list"),
        pytest.param({"year": {"gt": [1]}}, "metadata.year.gt: must be", id="order-of-a-list"),
        pytest.param({"year": {"gt": True}}, "metadata.year.gt: true and false have no order", id="order-of-truth"),
        pytest.param({"year": float("nan")}, "metadata.year: must be", id="nan"),
        pytest.param({"": 1}, "a key has 1 to 256 characters", id="empty-key"),
        pytest.param({"k" * 257: 1}, "a key has 1 to 256 characters", id="long-key"),
        pytest.param({"k": "x" * 1001}, "a text of 1001 characters, and 1000", id="long-value"),
        pytest.param({"k": list(range(501))}, "501 values, and 500 are allowed", id="many-values"),
        pytest.param({str(n): n for n in range(101)}, "more than 100 conditions", id="many-keys"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(given: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        of_metadata(given)


def nested(depth: int) -> dict[str, object]:
    inner = compare("a", "eq", 1)
    for _ in range(depth):
        inner = {"type": "and", "filters": [inner]}
    return inner


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param([], "filters: is no object", id="list"),
        pytest.param({}, "filters: needs `type`", id="empty"),
        pytest.param({"type": "and"}, "filters: 'and' needs a list", id="and-without-parts"),
        pytest.param({"type": "or", "filters": []}, "filters.filters: is empty", id="or-of-nothing"),
        pytest.param({"type": "and", "filters": [{"type": "eq"}]}, r"filters.filters\[0\]: needs `type`", id="inner"),
        pytest.param(compare("a", "like", "x"), "filters: no operator 'like'", id="operator"),
        pytest.param(compare("a", "eq", ["x"]), "filters: must be a text", id="eq-of-a-list"),
        pytest.param({"type": "eq", "key": 1, "value": 1}, "filters: needs `type`", id="key-is-no-text"),
        pytest.param(nested(8), "deeper than 8 levels", id="deep"),
        pytest.param({"type": "and", "filters": [compare("a", "eq", 1)] * 101}, "more than 100 conditions", id="many"),
        pytest.param(
            {"type": "or", "filters": [{"type": "and", "filters": [compare("a", "eq", 1)] * 60}] * 2},
            "more than 100 conditions",
            id="many-in-all",
        ),
    ],
)
def test_what_is_no_filter_of_openai_is_refused_with_its_place(given: object, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        of_openai(given)


def test_a_filter_as_deep_as_allowed_is_read() -> None:
    assert matches(of_openai(nested(7)), {"a": 1})
