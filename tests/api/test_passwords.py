"""The password of a document: given with the upload or afterwards, used where it is read, and shown nowhere."""

from __future__ import annotations

import asyncio
import io
import logging
from pathlib import Path
from typing import Any

import pytest
import pyzipper  # type: ignore[import-untyped]  # has no types
from click.testing import CliRunner

from ragline.cli import main
from ragline.pipelines.accept import replace
from ragline.session import open_ragline
from ragline.types import Status
from tests.api.desk import Desk, Person
from tests.test_ingest import finished

PASSWORD, WRONG = "été à Orléans 26", "hiver à Paris 25"
NOTE = "La pompe Zéphyr est garantie 27 mois."


def locked(password: str = PASSWORD, note: str = NOTE) -> bytes:
    made = io.BytesIO()
    with pyzipper.AESZipFile(made, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        archive.writestr("notice.txt", note)
    return made.getvalue()


async def sent(who: Person, path: str = "/api/v1/files/?process_in_background=false", **form: str) -> dict[str, Any]:
    answer = await who.client.post(path, files={"file": ("coffre.zip", locked())}, data=form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def given(desk: Desk, who: Person, file_id: str, password: str) -> dict[str, Any]:
    """Give a file a password and return how it stands at the end of its processing."""
    answer = await who.client.post(f"/api/v1/files/{file_id}/password", json={"password": password})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] in ("pending", "processing")
    await finished(desk.app, await desk.app.records.files.get(file_id))
    return dict((await who.client.get(f"/api/v1/files/{file_id}")).json()["data"])


async def test_a_password_with_the_upload_opens_the_document(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="ragline")
    ada = await desk.person("ada")
    made = await sent(ada, password=PASSWORD)
    assert made["data"]["status"] == "completed"
    shown = await ada.client.get(f"/api/v1/files/{made['id']}")
    assert NOTE in shown.json()["data"]["content"]
    record = await desk.app.records.files.get(made["id"])
    assert record.password is not None
    listed = [await ada.client.get(path) for path in ("/api/v1/files/", f"/v1/files/{made['id']}")]
    seen = "".join([shown.text, repr(record), caplog.text, *(each.text for each in listed)])
    assert PASSWORD not in seen
    assert record.password not in seen


async def test_the_upload_of_openai_takes_one_too(desk: Desk) -> None:
    ada = await desk.person("ada")
    made = await sent(ada, "/v1/files", password=PASSWORD)
    file = await finished(desk.app, await desk.app.records.files.get(made["id"]))
    assert (file.status, file.error) == (Status.COMPLETED, None)


async def test_without_one_the_file_fails_and_can_be_opened_afterwards(desk: Desk) -> None:
    ada = await desk.person("ada")
    made = await sent(ada, password="")
    assert made["data"]["status"] == "failed"
    assert "'coffre.zip' needs a password" in made["data"]["error"]
    wrong = await given(desk, ada, made["id"], WRONG)
    assert "is not opened by the password that was given" in wrong["error"]
    right = await given(desk, ada, made["id"], PASSWORD)
    assert (right["status"], right["error"]) == ("completed", None)
    assert NOTE in right["content"]


async def test_only_who_may_change_a_file_can_give_it_a_password(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    made = await sent(ada)
    path = f"/api/v1/files/{made['id']}/password"
    hidden = await bob.client.post(path, json={"password": PASSWORD})
    assert hidden.status_code == 404
    assert (await desk.app.records.files.get(made["id"])).password is None


@pytest.mark.parametrize("password", ["x" * 1025, "a\0b"])
async def test_what_is_no_password_is_refused_and_not_sent_back(desk: Desk, password: str) -> None:
    ada = await desk.person("ada")
    upload = await ada.client.post("/api/v1/files/", files={"file": ("a.zip", locked())}, data={"password": password})
    made = await sent(ada)
    later = await ada.client.post(f"/api/v1/files/{made['id']}/password", json={"password": password})
    assert (upload.status_code, later.status_code) == (422, 422)
    assert password not in upload.text + later.text
    assert (await ada.client.post(f"/api/v1/files/{made['id']}/password", json={"password": ""})).status_code == 422


async def test_it_goes_with_the_bytes_and_with_the_file(desk: Desk) -> None:
    ada = await desk.person("ada")
    made = await sent(ada, password=PASSWORD)
    before = await desk.app.records.files.get(made["id"])
    again = await replace(desk.app, before, name="coffre.zip", content=io.BytesIO(locked(WRONG)), password=WRONG)
    assert (await finished(desk.app, again)).status is Status.COMPLETED
    plain = await replace(desk.app, again, name="note.txt", content=io.BytesIO(NOTE.encode()))
    assert plain.password is None
    assert (await finished(desk.app, plain)).status is Status.COMPLETED
    await sent(ada, password=PASSWORD)
    assert (await ada.client.delete(f"/api/v1/files/{made['id']}")).status_code == 200
    assert await desk.app.records.files.named([made["id"]]) == {}


async def test_another_secret_of_the_installation_asks_for_the_password_again(desk: Desk) -> None:
    ada = await desk.person("ada")
    made = await sent(ada, password=PASSWORD)
    (desk.app.settings.data_dir / "jwt-secret").write_text("0" * 64)
    assert (await ada.client.post(f"/api/v1/files/{made['id']}/process/retry")).status_code == 409
    await desk.app.records.queue.again(made["id"])
    file = await finished(desk.app, await desk.app.records.files.get(made["id"]))
    assert file.error is not None
    assert file.error.startswith("'coffre.zip' has a password that cannot be used any more")
    assert (await given(desk, ada, made["id"], PASSWORD))["status"] == "completed"


async def test_a_text_in_place_of_the_document_needs_no_password(desk: Desk) -> None:
    ada = await desk.person("ada")
    made = await sent(ada)
    answer = await ada.client.post(f"/api/v1/files/{made['id']}/data/content/update", json={"content": NOTE})
    assert answer.status_code == 200, answer.text
    assert (await given(desk, ada, made["id"], WRONG))["status"] == "completed"


async def test_the_log_of_events_has_the_route_and_not_the_password(desk: Desk) -> None:
    ada = await desk.person("ada")
    made = await sent(ada)
    await given(desk, ada, made["id"], PASSWORD)
    for _ in range(50):
        events = (await desk.admin.client.get("/api/v1/events")).text
        if f"{made['id']}/password" in events:
            break
        await asyncio.sleep(0.1)
    assert f"{made['id']}/password" in events
    assert PASSWORD not in events


def test_the_python_api_takes_one(tmp_path: Path, models_folder: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models_folder)
    (tmp_path / "coffre.zip").write_bytes(locked())
    with open_ragline(tmp_path / "data") as rag:
        [file] = rag.ingest(tmp_path / "coffre.zip", password=PASSWORD)
        assert "27 mois" in rag.ask("Combien de temps la pompe est-elle garantie ?", files=[file]).text


def test_the_command_line_takes_one_and_opens_what_failed_for_lack_of_it(tmp_path: Path, models_folder: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models_folder)
    (tmp_path / "coffre.zip").write_bytes(locked())

    def ingest(*options: str, typed: str = "") -> str:
        command = ["ingest", str(tmp_path / "coffre.zip"), "--data-dir", str(tmp_path / "data"), *options]
        return CliRunner().invoke(main, command, input=typed).output

    assert "needs a password" in ingest()
    assert "is not opened by the password that was given" in ingest("--password", WRONG)
    asked = ingest("--password", "-", typed=f"{PASSWORD}\n")
    assert "1 ingested" in asked
    assert PASSWORD not in asked
