"""What zipped documents of XML share: their parts, how these refer to each other, and safe XML."""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote

from ragline.errors import ParseFailed

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

DAMAGES = (SyntaxError, OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile)
"""What is raised while a damaged part is read; errors of lxml are syntax errors."""
MAX_ABOUT_CHARS = 500
ABOUT = {"title": "title", "creator": "author", "subject": "subject", "modified": "date", "language": "language"}


@dataclass(frozen=True, slots=True)
class Related:
    """A part that another refers to; `kind` is the last word of the relation's name, such as `worksheet`."""

    id: str
    kind: str
    part: str
    name: str = ""
    is_hidden: bool = False


class Package(AbstractContextManager["Package"]):
    """The parts of a document by their names, which are never used as names on the disk."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self._names = {name.replace("\\", "/").lower(): name for name in self._zip.namelist()}

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def __contains__(self, part: str) -> bool:
        return part.lower() in self._names

    def parts(self) -> list[str]:
        return list(self._names.values())

    @property
    def main(self) -> str:
        """The part that an Office document begins with. Raises ParseFailed where it has none."""
        for related in self.related(""):
            if related.kind == "officeDocument" and related.part in self:
                return related.part
        raise ParseFailed("lacks the part that holds its text; it is damaged or no document of Office")

    def open(self, part: str) -> IO[bytes]:
        """Open a part for reading. Raises ParseFailed where there is none, or it is encrypted."""
        if part not in self:
            raise ParseFailed(f"lacks its part {part!r}; it is damaged")
        member = self._zip.getinfo(self._names[part.lower()])
        if member.flag_bits & 1:
            raise ParseFailed("needs a password; save it without one")
        return self._zip.open(member)

    def root(self, part: str) -> _Element:
        """Return the tree of a small part."""
        from lxml import etree  # type: ignore[import-untyped]  # has no types

        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
        with self.open(part) as file:
            return etree.parse(file, parser).getroot()

    def each(self, file: IO[bytes], *tags: str) -> Iterator[_Element]:
        """Yield the elements with one of these local names as they end, and forget them: memory stays small."""
        from lxml import etree

        wanted = [f"{{*}}{tag}" for tag in tags]
        is_first = True
        for _, node in etree.iterparse(
            file, tag=wanted, resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True
        ):
            if is_first:
                refuse_document_type(node)
                is_first = False
            yield node
            node.clear(keep_tail=False)
            parent = node.getparent()
            while parent is not None and node.getprevious() is not None:
                del parent[0]

    def all(self, part: str, tag: str) -> Iterator[_Element]:
        """Yield the elements of a part as `each` does; none where the part is missing."""
        if part in self:
            with self.open(part) as file:
                yield from self.each(file, tag)

    def related(self, part: str) -> list[Related]:
        """Return the parts that a part refers to, those outside the file left out; "" is the package itself."""
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if relations not in self:
            return []
        return [
            Related(
                relation.get("Id", ""),
                relation.get("Type", "").rpartition("/")[2],
                resolved(folder, relation.get("Target", "")),
            )
            for relation in self.root(relations).iter("{*}Relationship")
            if relation.get("TargetMode") != "External"
        ]

    def about(self) -> dict[str, str]:
        """Return what an Office document says of itself, under the names of `Parsed.about`."""
        part = next((found.part for found in self.related("") if found.kind == "core-properties"), "")
        try:
            return about_of(self.root(part)) if part in self else {}
        except DAMAGES:
            return {}  # the document can be read without it


def refuse_document_type(node: _Element) -> None:
    """Raise ParseFailed where the part that `node` is from declares entities, which are not read."""
    if node.getroottree().docinfo.internalDTD is not None:
        raise ParseFailed("declares a document type of its own in its XML, which no Office does; it is not read")


def about_of(root: _Element, names: Mapping[str, str] = ABOUT) -> dict[str, str]:
    """Return the Dublin Core below `root` under the `names` of `Parsed.about`, several authors joined."""
    found: dict[str, list[str]] = {}
    for node in root.iter(*(f"{{*}}{name}" for name in names)):
        if text := " ".join((node.text or "").split()):
            found.setdefault(names[str(node.tag).rpartition("}")[2]], []).append(text)
    said = {key: ", ".join(dict.fromkeys(texts)) if key == "author" else texts[0] for key, texts in found.items()}
    if "language" in said:
        said["language"] = re.split("[-_]", said["language"])[0].lower()
    return {key: text[:MAX_ABOUT_CHARS] for key, text in said.items() if text}


def resolved(folder: str, target: str) -> str:
    """Return the name of the part that `target` means when it is named by a part in `folder`."""
    path = unquote(target.partition("#")[0]).replace("\\", "/")
    return posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/")


def refuse_encrypted(package: Package) -> None:
    """Raise ParseFailed for an OpenDocument file that has a part which only a password opens."""
    if any(True for _ in package.all("META-INF/manifest.xml", "encryption-data")):
        raise ParseFailed("needs a password; save it without one, LibreOffice's encryption cannot be opened")
