"""XML of office documents: without entities, document types or network, and never deeper than 256 elements."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from ragline.errors import ParseFailed

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

_TOO_DEEP = "Excessive depth"
_STRICT = b"http://purl.oclc.org/ooxml/"
_TRANSITIONAL = "http://schemas.openxmlformats.org/"
_SAME = {
    "wordprocessingml/main": "wordprocessingml/2006/main",
    "presentationml/main": "presentationml/2006/main",
    "drawingml/main": "drawingml/2006/main",
    "drawingml/chart": "drawingml/2006/chart",
    "drawingml/diagram": "drawingml/2006/diagram",
    "drawingml/wordprocessingDrawing": "drawingml/2006/wordprocessingDrawing",
    "officeDocument/relationships": "officeDocument/2006/relationships",
    "officeDocument/math": "officeDocument/2006/math",
}
"""The names of Office's strict format and those of the usual one that mean the same."""


def tree(file: IO[bytes]) -> _Element:
    """Return the root of a part. Raises ParseFailed for document types and depth, lxml's errors for damage."""
    from lxml import etree  # type: ignore[import-untyped]  # has no types

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    with _errors():
        root = etree.parse(_usual(file), parser).getroot()
    _check(root)
    return root


def streamed(file: IO[bytes], inside: str, tags: Sequence[str]) -> Iterator[_Element]:
    """Yield the children with `tags` of the element `inside`, whole, and forget each when the next is asked for.

    What stands before `inside` stays in the tree, such as the styles before a text. Raises as `tree`.
    """
    from lxml import etree

    with _errors():
        unchecked = True
        for _, node in etree.iterparse(
            _usual(file),
            tag=tags,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        ):
            if unchecked:
                _check(node)
                unchecked = False
            parent = node.getparent()
            if parent is not None and parent.tag == inside:
                yield node
                node.clear(keep_tail=False)
                # Later ones may be in the tree already: only those before are removed.
                while node.getprevious() is not None:
                    del parent[0]


def _check(root: _Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise ParseFailed("declares a document type of its own in its XML, which no Office does; it is not read")


def _usual(file: IO[bytes]) -> IO[bytes]:
    """Return the part with the names of the usual format; only a strict one is read into memory for that."""
    head = file.read(8192)
    if _STRICT not in head:
        return _Rejoined(head, file)  # type: ignore[return-value]  # lxml only reads
    data = head + file.read()
    for strict, usual in _SAME.items():
        data = data.replace(_STRICT + strict.encode(), (_TRANSITIONAL + usual).encode())
    return io.BytesIO(data)


class _Rejoined:
    """A file whose first bytes were already taken."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head = head
        self._file = file

    def read(self, size: int = -1) -> bytes:
        head, self._head = self._head, b""
        return head or self._file.read(size)


@contextmanager
def _errors() -> Iterator[None]:
    from lxml import etree

    try:
        yield
    except etree.XMLSyntaxError as error:
        if _TOO_DEEP in str(error):
            raise ParseFailed("is nested too deeply to be read") from None
        raise
