"""What a sync has to do: a source's list beside what is known of it. Nothing here reads or writes anything."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

from ragline.config.settings import Source
from ragline.connectors.records.sources import Known
from ragline.connectors.sources.protocol import Entry
from ragline.errors import Conflict

Action = Literal["added", "changed", "moved", "deleted", "kept", "retried", "skipped", "failed"]
Outcome = Literal["planned", "waiting", "done", "failed"]
"""planned: a dry run; waiting: to be ingested; done: also for what was kept or skipped; failed: `reason` says why."""

NOT_READ: Mapping[str, str | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Row:
    """What a sync did with one document, or would do."""

    action: Action
    path: str
    outcome: Outcome
    reason: str | None = None
    file_id: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Every document of the source in exactly one group, each group sorted by path.

    `changed` have another tag than before, `unsure` none to compare: reading them tells, and the bytes decide for both.
    `moved` are (what was gone, where it is now). `retried` did not change, and their files could not be ingested.
    `gone` have files that are deleted, or kept where the caller keeps. `forgotten` have no file: only what is known of
    them goes. `candidates` are new, and reading them tells whether one of the gone was moved there; a plan with some
    is to be made again with what was read.
    """

    added: Sequence[Entry] = ()
    changed: Sequence[tuple[Known, Entry]] = ()
    unsure: Sequence[tuple[Known, Entry]] = ()
    moved: Sequence[tuple[Known, Entry]] = ()
    unchanged: Sequence[Known] = ()
    retried: Sequence[Known] = ()
    gone: Sequence[Known] = ()
    forgotten: Sequence[Known] = ()
    candidates: Sequence[Entry] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What a sync leaves to the next: the collection of its files, which settings it had, and what state it saw."""

    collection: str | None = None
    settings: str | None = None
    state: str | None = None

    @classmethod
    def read(cls, text: str | None) -> Memory:
        return cls(**json.loads(text)) if text else cls()

    def written(self) -> str:
        return json.dumps(asdict(self))


def deciding(settings: Source) -> str:
    """Return what changes with the settings that decide which documents a source has and where they are put."""
    names = {"kind", "location", "collection", "include", "exclude", "options"}
    return hashlib.sha256(settings.model_dump_json(include=names).encode()).hexdigest()


def make_plan(
    known: Mapping[str, Known],
    listing: Sequence[Entry],
    *,
    forgets: bool = False,
    force: bool = False,
    read: Mapping[str, str | None] = NOT_READ,
) -> Plan:
    """Compare. `forgets`: what a source lists no more was not moved, it only left the list. `force`: documents that
    could not be taken in are tried again. `read`: SHA-256 of the candidates by path, None for one that was not read.
    """
    new: list[Entry] = []
    groups: dict[str, list[tuple[Known, Entry]]] = {"changed": [], "unsure": [], "unchanged": []}
    for entry in sorted(listing, key=lambda each: each.path):
        was = known.get(entry.path)
        if was is None or is_new(was, force=force):
            new.append(entry)
        else:
            groups[compare(was, entry, force=force)].append((was, entry))
    listed = {entry.path for entry in listing}
    left = [was for path, was in sorted(known.items()) if path not in listed and not was.kept]
    gone = [was for was in left if was.file_id is not None]
    moved = [] if forgets else find_moves(gone, new, read)
    sources, targets = {was.path for was, _ in moved}, {entry.path for _, entry in moved}
    gone = [was for was in gone if was.path not in sources]
    added = [entry for entry in new if entry.path not in targets]
    unchanged = [was for was, _ in groups["unchanged"]]
    candidates = {} if forgets else may_be_moved(added, gone, read)
    return Plan(
        added=[entry for entry in added if entry.path not in candidates],
        changed=groups["changed"],
        unsure=groups["unsure"],
        moved=moved,
        unchanged=[was for was in unchanged if not (force and was.failed)],
        retried=[was for was in unchanged if force and was.failed],
        gone=gone,
        forgotten=[was for was in left if was.file_id is None],
        candidates=list(candidates.values()),
    )


def planned_rows(plan: Plan, *, keeps: bool) -> list[Row]:
    """Return what would be done, by path."""
    rows = [Row("added", entry.path, "planned") for entry in plan.added]
    for some, reason in ((plan.changed, None), (plan.unsure, "only reading it tells whether it changed")):
        rows += [
            Row("changed" if was.file_id else "added", to.path, "planned", reason, was.file_id) for was, to in some
        ]
    rows += [Row("retried", was.path, "planned", None, was.file_id) for was in plan.retried]
    rows += [Row("moved", to.path, "planned", f"was {was.path}", was.file_id) for was, to in plan.moved]
    rows += [Row("kept" if keeps else "deleted", was.path, "planned", None, was.file_id) for was in plan.gone]
    return sorted(rows, key=lambda row: row.path)


def is_new(was: Known, *, force: bool) -> bool:
    """Tell whether a document that was seen before is taken in as a new one: it has no file, and no reason for it."""
    return was.file_id is None and (was.error is None or was.kept or force)


def compare(was: Known, entry: Entry, *, force: bool) -> Literal["changed", "unsure", "unchanged"]:
    if was.tag is None or entry.tag is None:
        return "unsure"
    if was.tag != entry.tag or (force and was.error is not None):
        return "changed"
    return "unchanged"


def find_moves(
    gone: Sequence[Known], new: Sequence[Entry], read: Mapping[str, str | None]
) -> list[tuple[Known, Entry]]:
    """Pair what is gone with what is new of the same content and the same suffix, those of the same name first."""
    moved: dict[str, tuple[Known, Entry]] = {}
    used: set[str] = set()
    for alike in (name, suffix):
        free: defaultdict[tuple[str, str], deque[Known]] = defaultdict(deque)
        for was in gone:
            if was.path not in used:
                for content in contents_of(was):
                    free[content, alike(was.path)].append(was)
        for entry in new:
            content = f"tag {entry.tag}" if entry.tag_is_content else f"sha256 {read.get(entry.path)}"
            fitting = free.get((content, alike(entry.path)))
            if fitting and entry.path not in moved:
                moved[entry.path] = (fitting.popleft(), entry)
                used.add(moved[entry.path][0].path)
    return [moved[path] for path in sorted(moved)]


def contents_of(was: Known) -> Iterator[str]:
    """Give the names of the content that the file of a document holds."""
    if was.tag is not None and was.error is None:  # with an error the tag is of something else
        yield f"tag {was.tag}"
    if was.sha256 is not None:
        yield f"sha256 {was.sha256}"


def may_be_moved(new: Sequence[Entry], gone: Sequence[Known], read: Mapping[str, str | None]) -> dict[str, Entry]:
    """Return by path those that are of the size of one that is gone, and were not read: for others it is not worth it.

    A new document without a size is read when it is taken in, early enough to see that it was moved.
    """
    sizes = {(was.size_bytes, suffix(was.path)) for was in gone if was.size_bytes is not None}
    return {
        entry.path: entry
        for entry in new
        if (entry.size_bytes, suffix(entry.path)) in sizes and not entry.tag_is_content and entry.path not in read
    }


def check_deletions(source: str, deleted: int, held: int, *, most: float) -> None:
    """Raise Conflict when a sync would delete more than this share of its files, and more than one."""
    if too_many(deleted, held, most=most):
        raise Conflict(
            f"source {source!r}: {deleted} of its {held} files would be deleted, more than the share of {most:g} "
            "that is allowed (max_delete_share of the source); nothing was changed. If that is right, sync with --force"
        )


def too_many(deleted: int, held: int, *, most: float) -> bool:
    return deleted > 1 and deleted > most * held


def name(path: str) -> str:
    return path.rpartition("/")[2]


def suffix(path: str) -> str:
    """Return the suffix in lower case. A file that gets another one is read in another way: it is not the same file."""
    stem, dot, last = name(path).rpartition(".")
    return dot + last.lower() if stem else ""
