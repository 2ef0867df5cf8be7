"""The text of one paragraph of a Word document: runs, fields, symbols, equations, and what is anchored in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ragline.pipelines.readers.office.word_styles import VAL, W, whole

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"

T, R, PPR = f"{W}t", f"{W}r", f"{W}pPr"
BOX = f"{W}txbxContent"
_THROUGH = frozenset(
    W + name
    for name in ("hyperlink", "ins", "moveTo", "smartTag", "sdt", "sdtContent", "fldSimple", "customXml", "dir", "bdo")
)
_LEFT_OUT = frozenset({PPR, f"{W}rPr", f"{W}del", f"{W}moveFrom", f"{W}sdtPr", f"{W}sdtEndPr", f"{W}rt"})
_CHARACTERS = {
    f"{W}tab": "\t",
    f"{W}ptab": "\t",
    f"{W}cr": "\n",
    f"{W}noBreakHyphen": "-",
    f"{W}softHyphen": "",
}
_FIELD, _BREAK, _RENDERED, _SYMBOL = f"{W}fldChar", f"{W}br", f"{W}lastRenderedPageBreak", f"{W}sym"
_NOTES: dict[str, Literal["footnote", "endnote"]] = {
    f"{W}footnoteReference": "footnote",
    f"{W}endnoteReference": "endnote",
}
_ANCHORS = frozenset({f"{W}drawing", f"{W}pict", f"{W}object", ALTERNATIVES})
_GREEK = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ"
_SYMBOLS = {
    **{0xF041 + number: letter for number, letter in enumerate(_GREEK)},
    **{0xF061 + number: letter for number, letter in enumerate("αβχδεφγηιϕκλμνοπθρστυϖωξψζ")},
    **dict(zip(range(0xF030, 0xF03A), "0123456789", strict=True)),
    **{0xF0A3: "≤", 0xF0A5: "∞", 0xF0AE: "→", 0xF0B0: "°", 0xF0B1: "±", 0xF0B3: "≥", 0xF0B4: "×", 0xF0B7: "•"},
    **{0xF0B9: "≠", 0xF0BB: "≈", 0xF0CE: "∈", 0xF0D6: "√", 0xF0E5: "∑", 0xF02B: "+", 0xF02D: "−", 0xF03D: "="},
}
_DINGBATS = {
    **{0xF06F: "☐", 0xF071: "☐", 0xF0A8: "☐", 0xF072: "☐", 0xF0FE: "☒", 0xF0FD: "☒", 0xF078: "☒", 0xF0FC: "✓"},
    **{0xF0A7: "•", 0xF06E: "■", 0xF06C: "●", 0xF0D8: "➢", 0xF0E0: "→", 0xF0E8: "➔", 0xF028: "☎", 0xF02A: "✉"},
}
_SCRIPTS = {f"{M}sup": "^", f"{M}sub": "_"}


@dataclass(slots=True)
class Line:
    """The text of a paragraph; the texts anchored in it come after it. `page` is where it begins."""

    parts: list[str] = field(default_factory=list)
    boxes: list[_Element] = field(default_factory=list)
    notes: list[tuple[Literal["footnote", "endnote"], str]] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    page: int = 0

    @property
    def text(self) -> str:
        return "".join(self.parts)


class Inline:
    """Reads paragraphs in their order, and knows between them on which page it is and in which fields."""

    def __init__(self) -> None:
        self.page = 1
        self._fields: list[bool] = []  # of each field that is open: has its result begun
        self._shown = True

    def line(self, paragraph: _Element) -> Line:
        """Return the text of a paragraph, as it is shown."""
        line = Line()
        self._walk(paragraph, line)
        if not self._shown:  # what a field computes from ends with its paragraph, or the rest would be lost
            self._fields = [True] * len(self._fields)
            self._shown = True
        line.page = line.page or self.page
        return line

    def _walk(self, node: _Element, line: Line) -> None:
        for child in node:
            tag = child.tag
            if tag == R:
                self._run(child, line)
            elif tag in _LEFT_OUT:
                continue
            elif tag in _THROUGH:
                self._walk(child, line)
            elif tag in (f"{M}oMath", f"{M}oMathPara"):
                self._add(formula(child), line)
            elif tag in _ANCHORS or tag == f"{W}ruby":
                self._special(child, line)

    def _run(self, run: _Element, line: Line) -> None:
        for child in run:
            tag = child.tag
            if tag == T:
                if child.text:
                    self._add(child.text, line)
            elif tag == f"{W}rPr":
                if len(child) and child.find(f"{W}vanish") is not None and _is_on(child.find(f"{W}vanish")):
                    return
            elif (character := _CHARACTERS.get(tag)) is not None:
                self._add(character, line)
            elif tag == _RENDERED:
                self.page += 1
            else:
                self._special(child, line)

    def _special(self, node: _Element, line: Line) -> None:
        tag = node.tag
        if tag == _FIELD:
            self._field(node, line)
        elif tag == _BREAK:
            self._add("\n", line)
        elif tag in _NOTES:
            if self._shown:
                line.notes.append((_NOTES[tag], node.get(f"{W}id", "")))
        elif tag == _SYMBOL:
            self._add(_symbol(node), line)
        elif tag in _ANCHORS:
            boxes, references = anchored(node)
            line.boxes += boxes
            line.references += references
            if tag == ALTERNATIVES and not (boxes or references):
                self._alternative(node, line)
        elif tag == f"{W}ruby":
            for base in node.iterfind(f"{W}rubyBase"):
                self._walk(base, line)

    def _alternative(self, node: _Element, line: Line) -> None:
        """Add the first of the alternatives that has text, such as a symbol or what stands in for it."""
        before = len(line.parts)
        for choice in node:
            self._run(choice, line)
            self._walk(choice, line)
            if len(line.parts) > before:
                return

    def _add(self, text: str, line: Line) -> None:
        if self._shown:
            if not line.page and not text.isspace():
                line.page = self.page
            line.parts.append(text)

    def _field(self, node: _Element, line: Line) -> None:
        match node.get(f"{W}fldCharType"):
            case "begin":
                self._add(_form_value(node), line)
                self._fields.append(False)
            case "separate" if self._fields:
                self._fields[-1] = True
            case "end" if self._fields:
                self._fields.pop()
        self._shown = all(self._fields)


def anchored(node: _Element) -> tuple[list[_Element], list[str]]:
    """Return the text boxes below a drawing, and the ids of the parts it shows: charts and diagrams.

    Of alternatives only the first that has any.
    """
    boxes: list[_Element] = []
    references: list[str] = []
    for child in node:
        if child.tag == BOX:
            boxes.append(child)
        elif isinstance(child.tag, str):
            if child.tag.rpartition("}")[2] in ("chart", "relIds"):
                references += [value for key, value in child.items() if key.endswith(("}id", "}dm"))]
            more = anchored(child)
            boxes += more[0]
            references += more[1]
        if node.tag == ALTERNATIVES and (boxes or references):
            break
    return boxes, references


def formula(node: _Element) -> str:
    """Return an equation on one line: fractions with a slash, powers with ^, indices with _."""
    parts = []
    for child in node:
        tag = child.tag
        if tag == f"{M}t":
            parts.append(child.text or "")
        elif tag == f"{M}f":
            above, below = (_argument(child.find(f"{M}{name}")) for name in ("num", "den"))
            parts.append(f"{above}/{below}")
        elif tag in _SCRIPTS:
            parts.append(_SCRIPTS[tag] + _argument(child))
        elif tag == f"{M}deg":
            parts.append(formula(child))
        elif tag == f"{M}rad":
            parts.append(f"√{_argument(child.find(f'{M}e'))}")
        elif tag == f"{M}d":
            parts.append(f"({', '.join(formula(inner) for inner in child.iterfind(f'{M}e'))})")
        elif tag == f"{M}nary":
            character = child.find(f"{M}naryPr/{M}chr")
            parts.append((character.get(f"{M}val", "") if character is not None else "∫") + formula(child))
        elif isinstance(tag, str) and not tag.endswith("Pr"):
            parts.append(formula(child))
    return "".join(parts)


def _argument(node: _Element | None) -> str:
    text = formula(node) if node is not None else ""
    return text if len(text) < 2 or text.isalnum() else f"({text})"


def _symbol(node: _Element) -> str:
    try:
        code = int(node.get(f"{W}char", ""), 16)
    except ValueError:
        return ""
    if not 0 < code < 0x110000:
        return ""
    code |= 0xF000 if code < 0x100 else 0
    return (_SYMBOLS if node.get(f"{W}font") == "Symbol" else _DINGBATS).get(code) or (
        "" if 0xE000 <= code < 0xF900 else chr(code)
    )


def _form_value(node: _Element) -> str:
    """Return what an old form shows in place of a result: a box that is ticked or not, or the chosen entry."""
    data = node.find(f"{W}ffData")
    if data is None:
        return ""
    if (box := data.find(f"{W}checkBox")) is not None:
        state = box.find(f"{W}checked")
        return "☒ " if _is_on(state if state is not None else box.find(f"{W}default"), missing=False) else "☐ "
    if (choice := data.find(f"{W}ddList")) is not None:
        entries = [entry.get(VAL, "") for entry in choice.iterfind(f"{W}listEntry")]
        result = choice.find(f"{W}result")
        chosen = (whole(result.get(VAL)) if result is not None else None) or 0
        return entries[chosen] if 0 <= chosen < len(entries) else ""
    return ""


def _is_on(node: _Element | None, *, missing: bool = True) -> bool:
    return missing if node is None else node.get(VAL, "1") not in ("0", "false", "off")
