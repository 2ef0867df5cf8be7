"""Who may see and change what, as conditions of the queries themselves.

An API key that is limited to collections sees these and their files, nothing else, whoever owns it.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_, select, true

from ragline.connectors.records.tables import collections, files, grants, memberships, users
from ragline.types import EVERYBODY, User


def readable_collections(user: User) -> ColumnElement[bool]:
    """Return which rows of `collections` this user may see."""
    return and_(_allowed(user), _inside(user))


def writable_collections(user: User) -> ColumnElement[bool]:
    """Return of which rows of `collections` this user may change what is in them."""
    return and_(_allowed(user, only_write=True), _inside(user))


def owned_collections(user: User) -> ColumnElement[bool]:
    """Return which rows of `collections` this user may share, rename and delete."""
    mine = true() if user.is_admin else collections.c.user_id == user.id
    return and_(mine, _inside(user))


def readable_files(user: User) -> ColumnElement[bool]:
    """Return which rows of `files` this user may see: their own, and those of collections they may see."""
    if user.sees_all:
        return true()
    shared = exists(
        select(memberships.c.file_id)
        .join(collections, collections.c.id == memberships.c.collection_id)
        .where(memberships.c.file_id == files.c.id, readable_collections(user))
    )
    return shared if user.collections is not None else or_(files.c.user_id == user.id, shared)


def own_files(user: User) -> ColumnElement[bool]:
    """Return which rows of `files` are this user's own, or all for an administrator."""
    if user.sees_all:
        return true()
    if user.collections is not None:
        return and_(true() if user.is_admin else files.c.user_id == user.id, readable_files(user))
    return files.c.user_id == user.id


def known_users(user: User) -> ColumnElement[bool]:
    """Return which rows of `users` this user may know of.

    An administrator of all, others of themselves, of whose collections or files they may see, and of whom they share
    a collection with.
    """
    if user.sees_all:
        return true()
    shares = select(collections.c.id).where(collections.c.user_id == users.c.id, readable_collections(user))
    shown = (
        select(files.c.id)
        .join(memberships, memberships.c.file_id == files.c.id)
        .join(collections, collections.c.id == memberships.c.collection_id)
        .where(files.c.user_id == users.c.id, readable_collections(user))
    )
    lent = (
        select(grants.c.id)
        .join(collections, collections.c.id == grants.c.collection_id)
        .where(grants.c.user_id == users.c.id, owned_collections(user))
    )
    return or_(users.c.id == user.id, exists(shares), exists(shown), exists(lent))


def _allowed(user: User, *, only_write: bool = False) -> ColumnElement[bool]:
    if user.is_admin:
        return true()
    granted = select(grants.c.id).where(
        grants.c.collection_id == collections.c.id, grants.c.user_id.in_([user.id, EVERYBODY])
    )
    if only_write:
        granted = granted.where(grants.c.permission == "write")
    return or_(collections.c.user_id == user.id, exists(granted))


def _inside(user: User) -> ColumnElement[bool]:
    if user.collections is None:
        return true()
    return collections.c.id.in_(user.collections)
