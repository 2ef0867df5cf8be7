"""A manifest, a client's list of its files, beside what a collection has: what is to be uploaded, deleted and made."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue

from ragline.api.wire_knowledge import Difference, Manifest, ManifestEntry, StaleEntry
from ragline.connectors.records.directories import MAX_DEPTH, Directory, checked_name, paths_of
from ragline.connectors.records.members import Stored
from ragline.errors import BadInput, Invalid
from ragline.pipelines.names import clean_name

MANIFEST = TypeAdapter(Manifest)
MANIFEST_SCHEMA: JsonSchemaValue = {
    "type": "object",
    "required": ["manifest"],
    "properties": {"manifest": {"type": "array", "items": {"$ref": "#/components/schemas/ManifestEntry"}}},
}
SHOWN_ERRORS = 20
ESCAPED = re.compile("%(22|0[0-9A-F]|1[0-9A-F]|7F)")
"""How a multipart form writes the characters that its header cannot hold (HTML, "multipart/form-data encoding")."""
PLAIN = re.compile(r"[\w.()-](?:[\w .()-]{0,150}[\w.()-])?")
"""Names that are stored as they are, but for NFC: nearly all, and looking at the others takes 20 times as long."""

Place = tuple[str, str]
"""Path of the directory and name of the file, as they are stored."""


def read_manifest(body: bytes) -> list[ManifestEntry]:
    """Return the entries of a request. Raises RequestValidationError; names and paths are as they were sent."""
    try:
        return MANIFEST.validate_python(orjson.loads(body))["manifest"]
    except orjson.JSONDecodeError as error:
        found = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error", "input": {}}
        raise RequestValidationError([found | {"ctx": {"error": error.msg}}]) from error
    except ValidationError as error:
        shown = error.errors(include_url=False, include_input=False)[:SHOWN_ERRORS]
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in shown]) from error


def compare(
    manifest: Sequence[ManifestEntry], directories: Sequence[Directory], stored: Sequence[Stored]
) -> Difference:
    """Tell how a collection differs from a manifest. Raises Invalid for a path that no directory can have.

    Names are compared as they are stored, in NFC. Of several files of one name those are kept that are in the manifest.
    """
    paths = paths_of(directories)
    sent = with_parents(entry.get("path", "") for entry in manifest)
    files = Files(stored, paths)
    changed: list[tuple[ManifestEntry, Place]] = []
    unmodified = 0
    for entry in manifest:
        place = (sent[entry.get("path", "")], stored_name(entry["filename"]))
        if files.take_same(place, entry["checksum"]):
            unmodified += 1
        else:
            changed.append((entry, place))
    added: list[ManifestEntry] = []
    modified: list[StaleEntry] = []
    for entry, place in changed:  # after all that are the same, so that none of these is taken for an older one
        if stale := files.take(place):
            modified.append(StaleEntry(**entry, stale_file_id=stale.file_id))
        else:
            added.append(entry)
    ids = {path: directory_id for directory_id, path in paths.items()}
    wanted = set(sent.values())
    surplus = sorted((path for path in ids if path not in wanted), key=lambda path: path.count("/"), reverse=True)
    return {
        "added": added,
        "modified": modified,
        "deleted": [
            {"file_id": file.file_id, "filename": file.filename, "path": paths.get(file.directory_id or "", "")}
            for file in files.left()
        ],
        "mkdir": sorted((path for path in sent if path and sent[path] not in ids), key=lambda path: path.count("/")),
        "rmdir": [ids[path] for path in surplus],
        "unmodified_count": unmodified,
        "directory_map": ids | {path: ids[plain] for path, plain in sent.items() if plain in ids},
    }


class Files:
    """The files of a collection by place and content; each can be taken once, those that failed last."""

    def __init__(self, stored: Sequence[Stored], paths: dict[str, str]) -> None:
        self._stored = stored
        self._by_place: defaultdict[Place, list[Stored]] = defaultdict(list)
        self._by_content: defaultdict[tuple[Place, str], list[Stored]] = defaultdict(list)
        self._taken: set[str] = set()
        for file in sorted(stored, key=lambda file: not file.failed):  # lists are taken from their ends
            place = (paths.get(file.directory_id or "", ""), stored_name(file.filename))
            self._by_place[place].append(file)
            self._by_content[place, file.sha256].append(file)
            if file.file_hash is not None and file.file_hash != file.sha256:
                self._by_content[place, file.file_hash].append(file)

    def take_same(self, place: Place, checksum: str) -> Stored | None:
        return self._next(self._by_content.get((place, checksum)))

    def take(self, place: Place) -> Stored | None:
        return self._next(self._by_place.get(place))

    def left(self) -> list[Stored]:
        return [file for file in self._stored if file.file_id not in self._taken]

    def _next(self, candidates: list[Stored] | None) -> Stored | None:
        while candidates:
            file = candidates.pop()
            if file.file_id not in self._taken:
                self._taken.add(file.file_id)
                return file
        return None


def with_parents(paths: Iterable[str]) -> dict[str, str]:
    """Return each path and all above it, sorted, with what it is stored as. Raises Invalid for one that cannot be."""
    found = {""}
    for path in set(paths):
        above = path
        while above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return {path: checked_path(path) for path in sorted(found)}


def checked_path(path: str) -> str:
    names = path.split("/") if path else []
    if len(names) > MAX_DEPTH:
        raise Invalid(f"path {path[:80]!r}…: directories lie at most {MAX_DEPTH} deep, not {len(names)}")
    try:
        return "/".join(map(checked_name, names))
    except Invalid as error:
        raise Invalid(f"path {path[:80]!r}: {error}") from error


def stored_name(filename: str) -> str:
    """Return the name that a file has after its upload, in NFC, also if it came out of the form still escaped."""
    if PLAIN.fullmatch(filename):
        return unicodedata.normalize("NFC", filename)
    plain = ESCAPED.sub(lambda match: chr(int(match[1], 16)), filename)
    try:
        return unicodedata.normalize("NFC", clean_name(plain))
    except BadInput:
        return filename  # its upload will say what is wrong with it
