"""The part of a report on single questions: those that find worst, and those that a change changed most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragline.retrieval.evaluation.compare import EQUAL, Comparison
from ragline.retrieval.evaluation.markup import Html, el
from ragline.retrieval.evaluation.results import Evaluation, Measured, Shown
from ragline.retrieval.evaluation.sets import Asked
from ragline.retrieval.evaluation.words import Speech

WORST = 15
CHANGED = 12
TITLE_CHARS = 120
WANTED = 3
"""Right answers that are named of one question."""


def worst_questions(evaluation: Evaluation, one: Measured, say: Speech) -> Html:
    """Return the questions with the least nDCG@10, those that are perfect left out, and what they found."""
    titles = evaluation.set.called()
    order = sorted(range(len(one.main)), key=lambda number: (one.main[number], number))
    worst = [number for number in order if one.main[number] < 1 - EQUAL][:WORST]
    shown = [
        question(evaluation.set.questions[number], one.shown[number], say, titles, score=say.number(one.main[number]))
        for number in worst
    ]
    return el("section", el("h2", say("worst")), shown or el("p", say("worst_none"), class_="note"), class_="long")


def changed_questions(evaluation: Evaluation, comparison: Comparison, say: Speech) -> Html:
    """Return the questions that the second configuration changes most, for better or worse."""
    first, second = evaluation.configurations[:2]
    titles = evaluation.set.called()
    order = sorted(range(len(comparison.differences)), key=lambda number: -abs(comparison.differences[number]))
    shown = []
    for number in order[:CHANGED]:
        difference = comparison.differences[number]
        if abs(difference) > EQUAL:
            score = f"{say.number(first.main[number])} → {say.number(second.main[number])}"
            tag = el("span", say.signed(difference), class_="tag better" if difference > 0 else "tag")
            shown.append(
                question(evaluation.set.questions[number], second.shown[number], say, titles, score=score, tag=tag)
            )
    return el("section", el("h2", say("changed")), shown or el("p", say("nothing"), class_="note"), class_="long")


def question(
    asked: Asked, found: Sequence[Shown], say: Speech, titles: Mapping[str, str], *, score: str, tag: Html | None = None
) -> Html:
    labels = list(asked.wanted)
    wanted = [el("div", called(label, titles)) for label in labels[:WANTED]]
    if len(labels) > WANTED:
        wanted.append(el("div", say("more", count=say.count(len(labels) - WANTED))))
    shown = [
        el("li", el("b", called(one.label, titles)), el("span", one.text), class_="right" if one.right else None)
        for one in found
    ]
    heading = "found_first" if any(one.right for one in found) else "found"
    return el(
        "div",
        el("h3", tag or "", asked.text, el("code", f"{score} · {asked.id}" if asked.id != asked.text else score)),
        el(
            "dl",
            el("dt", say("wanted")),
            el("dd", wanted),
            el("dt", say(heading)),
            el("dd", el("ol", shown) if shown else say("nothing")),
        ),
        class_="question",
    )


def called(label: str, titles: Mapping[str, str]) -> str:
    """Return the id of a document with its title, where it has one; what is no document as it is."""
    return f"{label} · {titles[label][:TITLE_CHARS]}" if label in titles else label
