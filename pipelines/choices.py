"""What a collection wants otherwise than the settings have it, and which files are read again for that.

A file is read and cut once, whatever it is in, by the wishes of its home: the collection it was put into first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from ragline.app import Stores
from ragline.config.settings import Chunking, Engine, Parsing, Profile, Retrieval, Section, Settings
from ragline.errors import BadInput
from ragline.types import CollectionRecord, Json

Language = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z_]{1,29}$")]
"""As tesseract names it: it becomes part of a command."""
MAX_LANGUAGES = 10


class ParsingChoice(Section):
    """How the files of a collection are read; what is null is as in the settings."""

    engine: Engine | None = None
    ocr: bool | None = None
    ocr_languages: tuple[Language, ...] | None = Field(None, min_length=1, max_length=MAX_LANGUAGES)


class ChunkingChoice(Section):
    """How the files of a collection are cut; what is null is as in the settings."""

    profile: Profile | None = None
    max_tokens: Annotated[int, *Chunking.model_fields["max_tokens"].metadata] | None = None
    overlap_tokens: Annotated[int, *Chunking.model_fields["overlap_tokens"].metadata] | None = None
    prefix: bool | None = None

    @model_validator(mode="after")
    def _overlaps_less(self) -> ChunkingChoice:
        overlap, longest = self.overlap_tokens, self.max_tokens
        if overlap is not None and longest is not None and overlap >= longest:
            raise ValueError(
                f"overlap_tokens {overlap} must be less than max_tokens {longest}, or a passage would only repeat the "
                "one before"
            )
        return self


class RetrievalChoice(Section):
    """How a collection is searched; what is null is as in the settings, or as it was calibrated."""

    dense_weight: Annotated[float, *Retrieval.model_fields["dense_weight"].metadata] | None = None
    min_relevance: Annotated[float, *Retrieval.model_fields["min_relevance"].metadata] | None = None


class Choices(Section):
    """The options of a collection."""

    parsing: ParsingChoice = ParsingChoice()
    chunking: ChunkingChoice = ChunkingChoice()
    retrieval: RetrievalChoice = RetrievalChoice()

    def stored(self) -> dict[str, Json]:
        """Return what is chosen, and nothing that is as in the settings."""
        values: dict[str, Json] = self.model_dump(mode="json", exclude_none=True)
        return {section: given for section, given in values.items() if given}


def chosen(options: Mapping[str, object]) -> Choices:
    """Return these as options of a collection. Raises BadInput that names what is none."""
    try:
        return Choices.model_validate(options)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, one['loc'])) or 'options'}: {one['msg']}" for one in error.errors())
        raise BadInput("; ".join(wrong)) from error


def in_force(settings: Settings, options: Mapping[str, Json]) -> tuple[Parsing, Chunking]:
    """Return the settings by which files are read and cut whose home has these stored options."""
    wanted = Choices.model_validate(options)
    return (
        settings.parsing.model_copy(update=wanted.parsing.model_dump(exclude_none=True)),
        settings.chunking.model_copy(update=wanted.chunking.model_dump(exclude_none=True)),
    )


async def of_files(stores: Stores, file_ids: Sequence[str]) -> dict[str, tuple[Parsing, Chunking]]:
    """Return by which settings each of these files is read and cut."""
    homes = await stores.records.members.homes(file_ids)
    known = {file_id: in_force(stores.settings, home.options) for file_id, home in homes.items() if home.options}
    usual = stores.settings.parsing, stores.settings.chunking
    return {file_id: known.get(file_id, usual) for file_id in file_ids}


async def change(stores: Stores, collection: CollectionRecord, wanted: Choices) -> int:
    """Give a collection other options, and have the files read again whose home it is, if that changes anything.

    Returns how many there are. What they had answers until then. Files that wait already are read by the new options.
    """
    await stores.records.collections.choose(collection.id, wanted.stored())
    stores.records.calibrations.forget()
    if in_force(stores.settings, collection.options) == in_force(stores.settings, wanted.stored()):
        return 0
    return await stores.records.queue.read_again(await stores.records.members.at_home(collection.id))


async def settle(stores: Stores, collection: CollectionRecord, file_ids: Sequence[str]) -> None:
    """Have files read again that were put into a collection just now, where it is their first and it has options."""
    usual = stores.settings.parsing, stores.settings.chunking
    if file_ids and in_force(stores.settings, collection.options) != usual:
        homes = await stores.records.members.homes(file_ids)
        await stores.records.queue.read_again(
            [file_id for file_id, home in homes.items() if home.collection_id == collection.id]
        )
