"""The first administrator: made once, so that a fresh installation can be used and nobody shares a default key."""

from __future__ import annotations

from ragline.config.settings import Auth, Settings
from ragline.connectors.records.store import open_records
from ragline.connectors.records.users import Users
from ragline.errors import SetupError
from ragline.types import User

ADMIN_EMAIL = "admin@localhost"


async def first_admin(users: Users, settings: Auth) -> tuple[User, str | None]:
    """Return the first administrator, and their new API key where one was made or `auth.bootstrap_key` is set."""
    admin = await users.first_admin()
    given = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else None
    if admin is not None and given is None:
        return admin, None
    if admin is None:
        admin = await users.add(name="Admin", email=ADMIN_EMAIL, role="admin", password_hash=None)
    return admin, await users.add_key(admin.id, name="bootstrap", key=given)


async def new_key(settings: Settings, *, name: str) -> str:
    """Return a new API key of the first administrator. Raises SetupError where there is no installation yet."""
    if settings.database.url is None and not (settings.data_dir / "ragline.db").exists():
        raise SetupError(
            f"no installation in {str(settings.data_dir)!r}: start `ragline serve` first, or name --data-dir"
        )
    records = await open_records(settings.database, data_dir=settings.data_dir)
    try:
        admin = await records.users.first_admin()
        if admin is None:
            raise SetupError("there is no administrator yet: start `ragline serve` first")
        return await records.users.add_key(admin.id, name=name)
    finally:
        await records.close()
