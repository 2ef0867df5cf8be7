"""An account goes, with everything that is stored for it."""

from __future__ import annotations

from ragline.app import App
from ragline.pipelines.tidy import remove


async def leave(app: App, user_id: str) -> None:
    """Delete a user with their files, collections, keys and rights. Cut short by a crash, it may be called again.

    Files of others in their collections stay. Raises NotFound; Conflict for the last administrator.
    """
    users = app.records.users
    await users.change(user_id, role="pending")  # from here on nothing new of theirs comes in
    while not await users.delete(user_id):
        belongings = await users.belongings(user_id)
        await remove(app, belongings.file_ids)
        for collection_id in belongings.collection_ids:
            await app.records.collections.delete(collection_id)
