"""The plan of a sync: what is known beside what is listed, case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from ragline.connectors.records.sources import KEPT, Known
from ragline.connectors.sources.protocol import Entry
from ragline.errors import Conflict
from ragline.pipelines.sync_plan import Plan, check_deletions, make_plan, planned_rows


def known(path: str, tag: str | None = "t1", *, content: str = "one", size: int | None = 3, file: bool = True) -> Known:
    return Known(path, tag, size, content, f"file of {path}" if file else None)


def refused(path: str, tag: str | None = "t1") -> Known:
    return Known(path, tag, 3, error="unsupported")


def kept(path: str) -> Known:
    return Known(path, None, 3, "one", f"file of {path}", KEPT)


def entry(path: str, tag: str | None = "t1", *, size: int | None = 3) -> Entry:
    return Entry(path, tag, size)


def blob(path: str, tag: str) -> Entry:
    return Entry(path, tag, 3, tag_is_content=True)


def groups(plan: Plan) -> dict[str, object]:
    """The groups that are not empty, as paths; of what was moved, both."""
    found: dict[str, object] = {
        "added": [each.path for each in plan.added],
        "changed": [to.path for _, to in plan.changed],
        "unsure": [to.path for _, to in plan.unsure],
        "moved": [f"{was.path} -> {to.path}" for was, to in plan.moved],
        "unchanged": [was.path for was in plan.unchanged],
        "gone": [was.path for was in plan.gone],
        "forgotten": [was.path for was in plan.forgotten],
        "candidates": [each.path for each in plan.candidates],
    }
    return {name: paths for name, paths in found.items() if paths}


def made(before: Sequence[Known], listing: Sequence[Entry], **more: object) -> dict[str, object]:
    return groups(make_plan({each.path: each for each in before}, listing, **more))  # type: ignore[arg-type]  # options


@pytest.mark.parametrize(
    ("before", "listing", "expected"),
    [
        pytest.param([], [], {}, id="nothing"),
        pytest.param([], [entry("b"), entry("a")], {"added": ["a", "b"]}, id="new, sorted"),
        pytest.param([known("a")], [entry("a")], {"unchanged": ["a"]}, id="same-tag"),
        pytest.param([known("a")], [entry("a", "t2")], {"changed": ["a"]}, id="other-tag"),
        pytest.param([known("a")], [entry("a", None)], {"unsure": ["a"]}, id="no-tag-now"),
        pytest.param([known("a", None)], [entry("a")], {"unsure": ["a"]}, id="no-tag-before"),
        pytest.param([known("a"), known("b")], [entry("b")], {"unchanged": ["b"], "gone": ["a"]}, id="gone"),
        pytest.param([known("a", file=False)], [entry("a")], {"added": ["a"]}, id="its-file-was-deleted-by-a-user"),
        pytest.param([known("a", file=False)], [], {"forgotten": ["a"]}, id="gone-without-a-file"),
        pytest.param([refused("a")], [entry("a")], {"unchanged": ["a"]}, id="refused-and-the-same"),
        pytest.param([refused("a")], [entry("a", "t2")], {"changed": ["a"]}, id="refused-and-changed"),
        pytest.param([refused("a", None)], [entry("a", None)], {"unsure": ["a"]}, id="refused-without-a-tag"),
        pytest.param([refused("a")], [], {"forgotten": ["a"]}, id="refused-and-gone"),
        pytest.param([kept("a")], [], {}, id="kept-is-not-told-again"),
        pytest.param([kept("a")], [entry("a")], {"unsure": ["a"]}, id="kept-comes-back"),
        pytest.param([known("é/ä.md")], [entry("é/ä.md")], {"unchanged": ["é/ä.md"]}, id="accents"),
        pytest.param(
            [known("a.md")], [entry("b.md")], {"gone": ["a.md"], "candidates": ["b.md"]}, id="same-size-is-a-candidate"
        ),
        pytest.param(
            [known("a.md")], [entry("b.md", size=4)], {"gone": ["a.md"], "added": ["b.md"]}, id="other-size-is-none"
        ),
        pytest.param(
            [known("a.md")], [entry("b.md", size=None)], {"gone": ["a.md"], "added": ["b.md"]}, id="no-size-is-none"
        ),
        pytest.param(
            [known("a.md")], [entry("b.txt")], {"gone": ["a.md"], "added": ["b.txt"]}, id="another-suffix-is-none"
        ),
        pytest.param(
            [known("a.md")], [blob("b.MD", "t1")], {"moved": ["a.md -> b.MD"]}, id="same-content-tag-is-moved"
        ),
        pytest.param(
            [known("a.md")], [blob("b.md", "t2")], {"gone": ["a.md"], "added": ["b.md"]}, id="other-content-tag-is-new"
        ),
        pytest.param(
            [known("a.md")],
            [blob("a.md", "t1"), blob("b.md", "t1")],
            {"unchanged": ["a.md"], "added": ["b.md"]},
            id="a-copy-is-not-moved",
        ),
        pytest.param(
            [known("a.md"), known("x/n.md")],
            [blob("m.md", "t1"), blob("y/n.md", "t1")],
            {"moved": ["a.md -> m.md", "x/n.md -> y/n.md"]},
            id="of-equal-ones-the-same-name-first",
        ),
        pytest.param(
            [known("a.md"), known("b.md")],
            [blob("c.md", "t1")],
            {"moved": ["a.md -> c.md"], "gone": ["b.md"]},
            id="each-is-moved-once",
        ),
    ],
)
def test_each_document_is_in_the_group_it_belongs_to(
    before: Sequence[Known], listing: Sequence[Entry], expected: Mapping[str, object]
) -> None:
    assert made(before, listing) == expected


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        pytest.param({"b.md": "one"}, {"moved": ["a.md -> b.md"]}, id="same-bytes"),
        pytest.param({"b.md": "two"}, {"added": ["b.md"], "gone": ["a.md"]}, id="other-bytes"),
        pytest.param({"b.md": None}, {"added": ["b.md"], "gone": ["a.md"]}, id="not-readable"),
    ],
)
def test_reading_the_candidates_tells_what_was_moved(
    read: Mapping[str, str | None], expected: Mapping[str, object]
) -> None:
    assert made([known("a.md")], [entry("b.md")], read=read) == expected


def test_what_a_list_only_forgot_was_not_moved() -> None:
    assert made([known("a.md")], [blob("b.md", "t1")], forgets=True) == {"added": ["b.md"], "gone": ["a.md"]}


def test_force_tries_the_refused_again_and_nothing_else() -> None:
    before = [refused("a"), known("b"), Known("c", "t1", 3, "one", "file", "too large now")]
    listing = [entry("a"), entry("b"), entry("c")]
    assert made(before, listing, force=True) == {"added": ["a"], "unchanged": ["b"], "changed": ["c"]}


def test_a_tag_that_was_refused_does_not_name_the_content_of_the_file() -> None:
    before = [Known("a.md", "t2", 3, "one", "file", "too large now")]
    assert made(before, [blob("b.md", "t2")]) == {"added": ["b.md"], "gone": ["a.md"]}


def test_twenty_thousand_documents_of_a_renamed_folder_are_planned_at_once() -> None:
    before = [known(f"x/{number}.md", f"t{number}") for number in range(20_000)]
    plan = make_plan({each.path: each for each in before}, [entry(f"y/{each}.md") for each in range(20_000)])
    assert len(plan.candidates) == 20_000
    moved = make_plan(
        {each.path: each for each in before}, plan.candidates, read={e.path: "one" for e in plan.candidates}
    )
    assert len(moved.moved) == 20_000
    assert {(was.path[1:], to.path[1:]) for was, to in moved.moved} == {(f"/{n}.md", f"/{n}.md") for n in range(20_000)}


@pytest.mark.parametrize(
    ("deleted", "held", "most", "stops"),
    [
        pytest.param(1, 1, 0.5, False, id="the-only-one"),
        pytest.param(1, 3, 0.0, False, id="a-single-one-never-stops"),
        pytest.param(2, 4, 0.5, False, id="exactly-the-share"),
        pytest.param(2, 3, 0.5, True, id="two-of-three"),
        pytest.param(51, 100, 0.5, True, id="more-than-half"),
        pytest.param(100, 100, 1.0, False, id="a-share-of-one-never-stops"),
        pytest.param(2, 100, 0.0, True, id="a-share-of-none"),
    ],
)
def test_a_sync_that_would_delete_too_much_stops(deleted: int, held: int, most: float, stops: bool) -> None:
    if not stops:
        check_deletions("notes", deleted, held, most=most)
        return
    with pytest.raises(Conflict, match=rf"'notes': {deleted} of its {held} files .*max_delete_share.*--force"):
        check_deletions("notes", deleted, held, most=most)


def test_the_rows_of_a_plan_say_what_would_be_done() -> None:
    before = [known("gone.txt", size=9), known("changed"), known("maybe", None), refused("refused"), known("old.md")]
    listing = [entry("new"), entry("changed", "t2"), entry("maybe"), entry("refused", "t2"), blob("now.md", "t1")]
    plan = make_plan({each.path: each for each in before}, listing)
    assert [(row.action, row.path, row.outcome, row.reason) for row in planned_rows(plan, keeps=False)] == [
        ("changed", "changed", "planned", None),
        ("deleted", "gone.txt", "planned", None),
        ("changed", "maybe", "planned", "only reading it tells whether it changed"),
        ("added", "new", "planned", None),
        ("moved", "now.md", "planned", "was old.md"),
        ("added", "refused", "planned", None),
    ]
    assert [row.action for row in planned_rows(plan, keeps=True) if row.path == "gone.txt"] == ["kept"]
