"""Fills passages with the largest pieces that fit, titles with what they announce."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from ragline.pipelines.chunking.pieces import CountTokens, Piece, count


class Packer:
    """Fills passages with pieces. `_open` is the passage being filled, its first `_repeated` leaves are overlap.

    `lead_tokens` says for the first piece of a passage how many tokens are embedded before it, such as the headings of
    its table.
    """

    def __init__(
        self,
        outline: Sequence[tuple[int, str]],
        *,
        max_tokens: int,
        overlap_tokens: int,
        lead_tokens: Callable[[Piece], int],
    ) -> None:
        self._outline = outline
        self._max = max_tokens
        self._overlap = min(overlap_tokens, max_tokens // 2)
        self._lead_tokens = lead_tokens
        self._open: list[Piece] = []
        self._tokens = 0
        self._repeated = 0
        self._groups: list[list[Piece]] = []

    def add(self, block: Piece) -> None:
        """Put the next element's piece where it belongs."""
        begins = block.begins and not self._has_titles_only()
        if begins or (block.kind == "title" and self._open and self._starts_section(block)):
            self._close(None)
        self._place(block)

    def finish(self) -> list[list[Piece]]:
        """Return the leaves of each passage."""
        if self._open:
            self._groups.append(self._open)
        return self._groups

    def _place(self, piece: Piece) -> None:
        if self._tokens + piece.tokens <= self._max:
            self._open.extend(piece.leaves())
            self._tokens += piece.tokens
        elif piece.parts and (piece.tokens > self._max or self._has_titles_only() or self._may_fill(piece)):
            for part in piece.parts:
                self._place(part)
        elif self._open:
            self._close(piece)
            self._place(piece)
        else:
            # One letter longer than a passage: a tokenizer may do that, and nothing can be cut from it.
            self._open.append(piece)
            self._tokens += piece.tokens

    def _starts_section(self, title: Piece) -> bool:
        level = self._outline[self._open[0].element][0]
        return not self._is_short() or (self._outline[title.element][0] < level and not self._has_titles_only())

    def _may_fill(self, piece: Piece) -> bool:
        return not piece.whole and self._is_short()

    def _is_short(self) -> bool:
        added = sum(piece.tokens for piece in self._open[self._repeated :])
        return added < self._max // 4 or self._has_titles_only()

    def _has_titles_only(self) -> bool:
        return all(piece.kind == "title" for piece in self._open)

    def _close(self, following: Piece | None) -> None:
        """End the passage before `following` (None: a title). Titles at its end move on with what they announce."""
        end = len(self._open)
        while end and self._open[end - 1].kind == "title":
            end -= 1
        titles = self._open[end:]
        if not end or sum(title.tokens for title in titles) > self._max // 2:
            end, titles = len(self._open), []
        body = self._open[:end]
        self._groups.append(body)
        repeated = [] if titles or following is None else self._tail(body, self._max - following.tokens)
        self._open = repeated + titles
        self._repeated = len(repeated)
        self._tokens = sum(piece.tokens for piece in self._open)
        if following is not None and not self._open:
            self._tokens = self._lead_tokens(following)

    def _tail(self, body: Sequence[Piece], room: int) -> list[Piece]:
        """Return the last sentences, or items of a list, that the next passage repeats; never all of this one."""
        room = min(room, self._overlap)
        tail: list[Piece] = []
        for piece in reversed(body[1:]):
            room -= piece.tokens
            if room < 0 or piece.kind not in ("text", "list"):
                break
            tail.append(piece)
        while tail and tail[-1].goes_on:
            tail.pop()
        return tail[::-1]


def cut_to_size(text: str, groups: list[list[Piece]], max_tokens: int, count_tokens: CountTokens) -> list[list[Piece]]:
    """Halve the passages that are too long as a whole although the sum of their leaves is not."""
    wholes = {
        id(group): Piece(0, "text", group[0].start, group[-1].end) for group in groups if _may_exceed(group, max_tokens)
    }
    count(text, list(wholes.values()), count_tokens)
    cut: list[list[Piece]] = []
    for group in groups:
        if id(group) in wholes and wholes[id(group)].tokens > max_tokens:
            middle = len(group) // 2
            while middle > 1 and group[middle - 1].kind == "title":
                middle -= 1
            cut += cut_to_size(text, [group[:middle], group[middle:]], max_tokens, count_tokens)
        else:
            cut.append(group)
    return cut


def _may_exceed(group: Sequence[Piece], max_tokens: int) -> bool:
    """Say whether a token for each seam and each blank in it would make the passage too long: only then count again."""
    seams = sum(max(1, right.start - left.end) for left, right in itertools.pairwise(group))
    return len(group) > 1 and sum(piece.tokens for piece in group) + seams > max_tokens


def advancing(groups: list[list[Piece]]) -> list[list[Piece]]:
    """Drop the repeated leaves that halving left without anything new behind them: starts and ends always grow."""
    kept = groups[:1]
    for group in groups[1:]:
        later = [piece for piece in group if piece.start > kept[-1][0].start]
        if later and later[-1].end > kept[-1][-1].end:
            kept.append(later)
    return kept
