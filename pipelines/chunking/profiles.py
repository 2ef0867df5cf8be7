"""How a document is cut: what each element is cut as, what shares no passage, and where passages must begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ragline.config.settings import Profile
from ragline.pipelines.chunking.questions import Pair, begins_of, pairs_of
from ragline.pipelines.parse import document_text
from ragline.types import Element, ElementKind


@dataclass(frozen=True)
class Plan:
    """How the elements of one document are cut; `spans` are their places in its text.

    `kinds` is what each is cut as. Elements of different `zones` share no passage. Passages begin at the offsets
    `begins`. `continues` are the elements that go on with the table of the one before. `units`: definitions in source
    code are kept whole. `overlaps`: passages may repeat sentences of those before. `questions` have their answers.
    """

    spans: Sequence[tuple[int, int]]
    kinds: Sequence[ElementKind]
    zones: Sequence[int]
    begins: frozenset[int]
    continues: frozenset[int]
    units: bool
    overlaps: bool
    questions: Sequence[Pair] = ()

    @cached_property
    def ordered_begins(self) -> list[int]:
        return sorted(self.begins)


def plan_of(elements: Sequence[Element], profile: Profile) -> tuple[str, Plan]:
    """Return the text of a document and how it is cut."""
    text, spans = document_text(elements)
    zones = list(zones_of(elements))
    continues = frozenset(continued(elements, zones))
    questions = pairs_of(elements, spans, zones) if profile == "qa" else []
    begins = tables_apart(elements, spans, continues) if profile == "table" else begins_of(questions)
    plan = Plan(
        spans=spans,
        kinds=["code" if profile == "code" and one.kind in ("text", "list") else one.kind for one in elements],
        zones=zones,
        begins=frozenset(begins),
        continues=continues,
        units=profile != "prose",
        overlaps=profile not in ("code", "table"),
        questions=questions,
    )
    return text, plan


def zones_of(elements: Sequence[Element]) -> Iterator[int]:
    """Yield the number of the zone of each element: it changes with the file inside the document, and the sheet.

    The title and the notes of a sheet belong to it, by their page.
    """
    sheets: dict[tuple[str, int | None], str] = {
        (one.member, one.page): one.sheet for one in elements if one.sheet is not None and one.page is not None
    }
    zone = 0
    known: tuple[str, str | None] | None = None
    for one in elements:
        sheet = one.sheet if one.sheet is not None else sheets.get((one.member, one.page))
        place = (one.member, sheet)
        zone += known is not None and place != known
        known = place
        yield zone


def continued(elements: Sequence[Element], zones: Sequence[int]) -> Iterator[int]:
    """Yield the numbers of the elements that go on with the table of the element before, under the same headings."""
    for number in range(1, len(elements)):
        before, one = elements[number - 1], elements[number]
        if not (before.kind == one.kind == "table" and zones[number - 1] == zones[number]):
            continue
        if before.headers != one.headers or before.columns != one.columns:
            continue
        if headings(one) == headings(before) if one.headers else one.sheet is not None:
            yield number


def headings(element: Element) -> str:
    """Return the lines of a table that are headings of its columns."""
    return "\n".join(element.text.split("\n", element.headers)[: element.headers])


def tables_apart(
    elements: Sequence[Element], spans: Sequence[tuple[int, int]], continues: frozenset[int]
) -> Iterator[int]:
    """Yield the offsets where a table begins, and what follows one."""
    for number, one in enumerate(elements):
        follows = number > 0 and elements[number - 1].kind == "table"
        if (one.kind == "table" or follows) and number not in continues:
            yield first_letter(one, spans[number])


def first_letter(element: Element, span: tuple[int, int]) -> int:
    """Return the offset of the first character of an element that is not blank."""
    return span[0] + len(element.text) - len(element.text.lstrip())
