"""A source that left the settings is forgotten, its files with it or not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragline.config.settings import Prefect
from ragline.errors import Conflict, NotFound
from ragline.pipelines.forget import forget, left_over
from ragline.serve import warn_of_sources
from tests.test_sync import Bench, bench, contents_of_tables

__all__ = ["bench"]


async def test_nothing_is_left_of_it(bench: Bench) -> None:
    bench.put("a.md", "# A")
    bench.put("b.md", "# B")
    await bench.run()
    assert await left_over(bench.stores) == ["notes"]
    assert await forget(bench.stores, "notes") == 2
    assert await left_over(bench.stores) == []
    tables = await contents_of_tables(bench.stores)
    assert {name: len(tables[name]) for name in ("files", "memberships", "sources", "entries")} == {
        "files": 0,
        "memberships": 0,
        "sources": 0,
        "entries": 0,
    }
    assert len(tables["removals"]) == 2  # their bytes and vectors, which the server deletes


async def test_files_that_are_kept_belong_to_no_source(bench: Bench) -> None:
    bench.put("a.md", "# A")
    await bench.run()
    before = await bench.files()
    assert await forget(bench.stores, "notes", keep_files=True) == 1
    kept = await bench.stores.records.files.get(before["a.md"].id)
    assert kept.metadata == {"path": "a.md"}
    (bench.root / "a.md").unlink()
    await bench.run()
    assert await bench.stores.records.files.get(kept.id) == kept


async def test_a_name_nobody_knows_is_an_error_that_names_the_others(bench: Bench) -> None:
    bench.put("a.md", "# A")
    await bench.run()
    with pytest.raises(NotFound, match=r"'note' was ever synced here; known: notes"):
        await forget(bench.stores, "note")


async def test_a_source_of_the_settings_is_not_forgotten(bench: Bench) -> None:
    bench.put("a.md", "# A")
    await bench.run()
    settings = bench.stores.settings.model_copy(update={"sources": (bench.settings,)})
    with pytest.raises(Conflict, match="take it out first"):
        await forget(replace(bench.stores, settings=settings), "notes")
    assert set(await bench.files()) == {"a.md"}


async def test_a_source_that_is_being_synced_is_not_forgotten(bench: Bench) -> None:
    bench.put("a.md", "# A")
    await bench.run()
    sync = bench.made()
    await sync.list()
    with pytest.raises(Conflict, match="is being synced"):
        await forget(bench.stores, "notes")
    await sync.close()


async def test_sources_that_nobody_syncs_are_named_at_the_start(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.put("a.md", "# A")
    await bench.run()
    watched = bench.settings.model_copy(update={"name": "seen", "watch": True})
    settings = bench.stores.settings.model_copy(update={"sources": (watched,), "prefect": Prefect(enabled=False)})
    await warn_of_sources(replace(bench.stores, settings=settings))
    pooled = settings.model_copy(update={"prefect": Prefect(work_pool="ragline")})
    await warn_of_sources(replace(bench.stores, settings=pooled))
    assert caplog.messages == [
        "source 'notes' is not in the settings any more; its files stay: see `ragline forget`",
        "source 'seen' is not synced on time: prefect.enabled is off; call `ragline sync` when it should be",
        "source 'notes' is not in the settings any more; its files stay: see `ragline forget`",
        "source 'seen' is not watched: its syncs run on the work pool 'ragline', by schedule",
    ]
