"""Passwords of documents are kept so that the database alone opens nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragline.api.sessions import Sessions
from ragline.config.settings import Settings
from ragline.connectors.sealed import MAX_PASSWORD_CHARS, seal, unseal
from ragline.errors import BadInput, ParseFailed, SetupError

FILE, OTHER = "6f1c0e9e-0000-4000-8000-000000000001", "6f1c0e9e-0000-4000-8000-000000000002"
PASSWORD = "été à Orléans, 26 €"
SECRET, NEW_SECRET = "s" * 40, "t" * 40


def settings(folder: Path, secret: str | None = None) -> Settings:
    return Settings.model_validate({"data_dir": folder, "auth": {"jwt_secret": secret}})


def test_what_was_sealed_opens_again_and_shows_nothing(tmp_path: Path) -> None:
    sealed = seal(settings(tmp_path), FILE, PASSWORD)
    assert unseal(settings(tmp_path), FILE, sealed) == PASSWORD
    assert "Orl" not in sealed
    assert seal(settings(tmp_path), FILE, PASSWORD) != sealed


def test_processes_that_share_the_secret_or_the_data_folder_open_it(tmp_path: Path) -> None:
    here, there = tmp_path / "a", tmp_path / "b"
    here.mkdir()
    there.mkdir()
    sealed = seal(settings(here, SECRET), FILE, PASSWORD)
    assert unseal(settings(there, SECRET), FILE, sealed) == PASSWORD
    assert Sessions.of(settings(here)).secret == (here / "jwt-secret").read_text()
    assert unseal(settings(here), FILE, seal(settings(here), FILE, PASSWORD)) == PASSWORD


@pytest.mark.parametrize(
    ("file_id", "secret"),
    [pytest.param(OTHER, SECRET, id="of-another-file"), pytest.param(FILE, NEW_SECRET, id="under-another-secret")],
)
def test_elsewhere_it_opens_nothing_and_the_way_out_is_said(tmp_path: Path, file_id: str, secret: str) -> None:
    sealed = seal(settings(tmp_path, SECRET), FILE, PASSWORD)
    with pytest.raises(ParseFailed, match=f"give it again: POST /api/v1/files/{file_id}/password") as caught:
        unseal(settings(tmp_path, secret), file_id, sealed)
    assert sealed not in str(caught.value)


def test_what_was_changed_in_the_database_opens_nothing(tmp_path: Path) -> None:
    sealed = seal(settings(tmp_path, SECRET), FILE, PASSWORD)
    for damaged in (sealed[:-4] + "AAA=", "", "é"):
        with pytest.raises(ParseFailed):
            unseal(settings(tmp_path, SECRET), FILE, damaged)


@pytest.mark.parametrize("password", ["", "x" * (MAX_PASSWORD_CHARS + 1), "a\0b", "a\ud800"])
def test_what_is_no_password_is_refused(tmp_path: Path, password: str) -> None:
    with pytest.raises(BadInput):
        seal(settings(tmp_path), FILE, password)


def test_a_short_secret_signs_and_seals_nothing(tmp_path: Path) -> None:
    for use in (
        lambda: seal(settings(tmp_path, "short"), FILE, PASSWORD),
        lambda: Sessions.of(settings(tmp_path, "x")),
    ):
        with pytest.raises(SetupError, match=r"auth\.jwt_secret is too short"):
            use()
