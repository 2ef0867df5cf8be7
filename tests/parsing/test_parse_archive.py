"""Archives are read as folders, within bounds, whatever they were made to do."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ragline.config.settings import Parsing
from ragline.connectors.workers import Workers
from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.parse import content_type_of, parse, parts_of
from ragline.pipelines.parse_types import ZIP
from ragline.pipelines.read import read_document
from ragline.pipelines.readers.archives.inside import climbs, label
from ragline.pipelines.reading import Options, Part
from ragline.types import Parsed

Read = Callable[..., Parsed]

NOTE = "La pompe Zéphyr est garantie 27 mois.\n".encode()
FRENCH = ("Réunion à Orléans.txt", "Été/Œuvre n° 3.txt", "Forêt, où ça ?.txt")


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_bytes(name: str, data: bytes, **options: Any) -> Parsed:
        path = tmp_path / "bytes"
        path.write_bytes(data)
        with path.open("rb") as file:
            content_type = content_type_of(name, file)
        return parse(path, name, content_type, options=replace(Options(), **options))

    return read_bytes


def zipped(members: Mapping[str, bytes], **how: Any) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]  # a mode as text
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def locked(members: Mapping[str, bytes], password: str, *, aes: bool) -> bytes:
    import pyzipper  # type: ignore[import-untyped]  # has no types

    if not aes:
        return zip_crypto(members, password)
    made = io.BytesIO()
    with pyzipper.AESZipFile(made, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


def zip_crypto(members: Mapping[str, bytes], password: str) -> bytes:
    """Encrypt as PKZIP 2 does (APPNOTE 6.1): no library here writes it."""
    table = [zlib.crc32(bytes([byte]), 0xFFFFFFFF) ^ 0xFFFFFFFF for byte in range(256)]
    made, directory = bytearray(), bytearray()
    for name, data in members.items():
        keys = [0x12345678, 0x23456789, 0x34567890]

        def turn(byte: int, keys: list[int] = keys) -> None:
            keys[0] = table[(keys[0] ^ byte) & 0xFF] ^ (keys[0] >> 8)
            keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
            keys[2] = table[(keys[2] ^ (keys[1] >> 24)) & 0xFF] ^ (keys[2] >> 8)

        for byte in password.encode():
            turn(byte)
        crc, sealed = zlib.crc32(data), bytearray()
        for byte in bytes(11) + bytes([crc >> 24]) + data:
            mask = (keys[2] | 2) & 0xFFFF
            sealed.append(byte ^ ((mask * (mask ^ 1) >> 8) & 0xFF))
            turn(byte)
        raw, at = name.encode(), len(made)
        common = struct.pack("<HHHHHLLLHH", 20, 1, 0, 0, 33, crc, len(sealed), len(data), len(raw), 0)
        made += b"PK\x03\x04" + common + raw + sealed
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHLL", 0, 0, 0, 0, at) + raw
    end = struct.pack("<HHHHLLH", 0, 0, len(members), len(members), len(directory), len(made), 0)
    return bytes(made + directory) + b"PK\x05\x06" + end


def texts(parsed: Parsed) -> dict[str, str]:
    """Return what the members say, their titles left out."""
    found: dict[str, str] = {}
    for element in parsed.elements:
        if element.kind != "title":
            found[element.member] = "\n".join(filter(None, (found.get(element.member), element.text)))
    return found


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        pytest.param("a.zip", zipped, id="zip"),
        pytest.param("a.tar", tarred, id="tar"),
        pytest.param("a.tar.gz", lambda each: tarred(each, "w:gz"), id="tar.gz"),
        pytest.param("a.tgz", lambda each: tarred(each, "w:gz"), id="tgz"),
        pytest.param("a.tar.bz2", lambda each: tarred(each, "w:bz2"), id="tar.bz2"),
        pytest.param("a.tar.xz", lambda each: tarred(each, "w:xz"), id="tar.xz"),
    ],
)
def test_the_files_of_an_archive_are_read_in_the_order_of_their_names(
    read: Read, name: str, pack: Callable[[Mapping[str, bytes]], bytes]
) -> None:
    members = {"b/suite.md": b"# Suite\n\nEt la fin.", "a.txt": NOTE, "b/__MACOSX/._x.txt": b"x", "b/.DS_Store": b"x"}
    parsed = read(name, pack(members))
    assert [(each.kind, each.level, each.text, each.member) for each in parsed.elements] == [
        ("title", 1, "a.txt", "a.txt"),
        ("text", 0, "La pompe Zéphyr est garantie 27 mois.", "a.txt"),
        ("title", 1, "b/suite.md", "b/suite.md"),
        ("title", 2, "Suite", "b/suite.md"),
        ("text", 0, "Et la fin.", "b/suite.md"),
    ]
    assert parsed.notes == []


@pytest.mark.parametrize(
    ("name", "pack", "inside"),
    [
        pytest.param("note.txt.gz", gzip.compress, "note.txt", id="gz"),
        pytest.param("note.txt.bz2", bz2.compress, "note.txt", id="bz2"),
        pytest.param("note.txt.xz", lzma.compress, "note.txt", id="xz"),
    ],
)
def test_a_single_compressed_file_is_read(read: Read, name: str, pack: Callable[[bytes], bytes], inside: str) -> None:
    assert texts(read(name, pack(NOTE))) == {inside: NOTE.decode().strip()}


@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "cp850", "cp1252"])
def test_french_names_of_any_system_are_decoded(read: Read, encoding: str) -> None:
    names = {name: name for name in FRENCH}
    if encoding == "cp437":
        names = {"Réunion, où ça.txt": "Réunion, où ça.txt"}  # it has few capitals with accents
    elif encoding == "cp850":
        names.pop("Été/Œuvre n° 3.txt")
        names["Été/Ça À È.txt"] = "Été/Ça À È.txt"
    raw = {f"{number:03}" + "_" * (len(name.encode(encoding)) - 3): name for number, name in enumerate(names)}
    data = zipped(dict.fromkeys(raw, NOTE))
    for placeholder, name in raw.items():
        data = data.replace(placeholder.encode(), name.encode(encoding))
    assert set(texts(read("a.zip", data))) == set(names)


def test_a_name_in_the_extra_field_of_info_zip_counts(read: Read) -> None:
    plain = b"Ete.txt"
    told = struct.pack("<BL", 1, zlib.crc32(plain)) + "Été.txt".encode()
    entry = zipfile.ZipInfo("Ete.txt")
    entry.extra = struct.pack("<HH", 0x7075, len(told)) + told
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(entry, NOTE)
    assert set(texts(read("a.zip", made.getvalue()))) == {"Été.txt"}


def test_a_tar_with_names_in_latin_1_is_decoded(read: Read) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as archive:
        entry = tarfile.TarInfo("Été à Orléans.txt")
        entry.size = len(NOTE)
        archive.addfile(entry, io.BytesIO(NOTE))
    assert set(texts(read("a.tar", made.getvalue()))) == {"Été à Orléans.txt"}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        pytest.param("/etc/passwd", "etc/passwd", id="absolute"),
        pytest.param("C:\\Windows\\a.txt", "Windows/a.txt", id="drive"),
        pytest.param("a/./b/../c.txt", "a/b/c.txt", id="steps"),
        pytest.param("gnp\u202etxt.exe\x00\n", "gnptxt.exe", id="reversed"),
        pytest.param("e\u0301t\u00e9.txt", "été.txt", id="composed"),
        pytest.param("../..", "?", id="nothing"),
        pytest.param("a" * 400 + ".txt", "…" + "a" * 295 + ".txt", id="long"),
    ],
)
def test_a_path_inside_is_only_ever_a_label(path: str, shown: str) -> None:
    assert label(path, "?") == shown
    assert len(label(path, "?")) <= 300


@pytest.mark.parametrize(
    ("path", "out"),
    [("../a", True), ("a/../../b", True), ("..\\a", True), ("a/../b", False), ("/a", False), ("...", False)],
)
def test_a_path_that_leads_out_is_seen(path: str, out: bool) -> None:
    assert climbs(path) is out


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_with_a_path_that_leads_out_is_refused(
    read: Read, pack: Callable[[Mapping[str, bytes]], bytes], tmp_path: Path
) -> None:
    with pytest.raises(ParseFailed, match=r"^'a\.x' is refused: its file 'mal\.txt' has a path that leads out"):
        read("a.x", pack({"bon.txt": NOTE, "../../mal.txt": NOTE}))
    assert not list(tmp_path.parent.glob("mal.txt"))


def test_links_and_devices_are_left_out(read: Read) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, kind in (("lien", tarfile.SYMTYPE), ("dur", tarfile.LNKTYPE), ("tube", tarfile.FIFOTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
        entry = tarfile.TarInfo("a.txt")
        entry.size = len(NOTE)
        archive.addfile(entry, io.BytesIO(NOTE))
    assert set(texts(read("a.tar", made.getvalue()))) == {"a.txt"}
    link = zipfile.ZipInfo("lien.txt")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive_:
        archive_.writestr(link, "/etc/passwd")
        archive_.writestr("a.txt", NOTE)
    assert set(texts(read("a.zip", made.getvalue()))) == {"a.txt"}


def test_what_cannot_be_read_is_noted_and_the_rest_is_read(read: Read) -> None:
    data = zipped({"a.txt": NOTE, "abîmé.txt": os.urandom(2000), "vide.txt": b"", "z.bin": bytes(range(256)) * 9})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        at = archive.getinfo("abîmé.txt").header_offset
    data = data[: at + 400] + b"\0" * 100 + data[at + 500 :]
    parsed = read("a.zip", data)
    assert set(texts(parsed)) == {"a.txt"}
    damaged, empty, binary = sorted(parsed.notes, key=lambda note: ("abîmé" not in note, "vide" not in note))
    assert damaged == "abîmé.txt: is damaged and cannot be unpacked"
    assert empty == "vide.txt: is empty"
    assert "z.bin" in binary


def test_an_archive_with_nothing_to_read_says_why(read: Read) -> None:
    with pytest.raises(ParseFailed, match=r"'a\.zip' has no text: vide\.txt: is empty"):
        read("a.zip", zipped({"vide.txt": b""}))
    with pytest.raises(ParseFailed, match=r"'a\.zip' holds no files"):
        read("a.zip", zipped({"dossier/": b""}))


@pytest.mark.parametrize("aes", [True, False], ids=["aes", "zipcrypto"])
def test_an_encrypted_archive_is_opened_with_its_password(read: Read, aes: bool) -> None:
    data = locked({"a.txt": NOTE, "b.txt": NOTE}, "été 26", aes=aes)
    assert set(texts(read("a.zip", data, password="été 26"))) == {"a.txt", "b.txt"}
    with pytest.raises(ParseFailed, match=r"^'a\.zip' needs a password; give "):
        read("a.zip", data)
    with pytest.raises(ParseFailed, match=r"^'a\.zip' is not opened by the password that was given"):
        read("a.zip", data, password="hiver 25")


def test_one_encrypted_file_of_an_archive_is_noted(read: Read) -> None:
    inside = locked({"secret.txt": NOTE}, "été 26", aes=True)
    data = zipped({"a.txt": NOTE, "coffre.zip": inside})
    parsed = read("a.zip", data)
    assert set(texts(parsed)) == {"a.txt"}
    assert [note for note in parsed.notes if note.startswith("coffre.zip: needs a password")]
    opened = read("a.zip", data, password="été 26")
    assert set(texts(opened)) == {"a.txt", "coffre.zip/secret.txt"}
    assert opened.notes == []


def test_archives_in_archives_are_read_three_deep(read: Read) -> None:
    data = NOTE
    for depth in range(5):
        data = zipped({f"{depth}.zip" if depth else "fond.txt": data, f"note {depth}.txt": NOTE})
    parsed = read("a.zip", data)
    assert set(texts(parsed)) == {"note 4.txt", "4.zip/note 3.txt", "4.zip/3.zip/note 2.txt"}
    deep = ("1.zip", "note 1.txt")
    assert parsed.notes == [f"4.zip/3.zip/2.zip/{each}: lies more than 3 files deep and was not read" for each in deep]


def test_an_encrypted_file_beside_others_is_noted(read: Read) -> None:
    made = io.BytesIO(zip_crypto({"b.txt": NOTE}, "été 26"))
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr("a.txt", NOTE)
    parsed = read("a.zip", made.getvalue())
    assert set(texts(parsed)) == {"a.txt"}
    assert [note.partition(";")[0] for note in parsed.notes] == ["b.txt: needs a password"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"max_members": 2}, "holds more than 2 files (parsing.max_members)", id="files"),
        pytest.param(
            {"max_unpacked_bytes": 1 << 20}, "unpacks to more than 1 MiB (parsing.max_unpacked_mb)", id="size"
        ),
    ],
)
@pytest.mark.parametrize("pack", [zipped, tarred, lambda each: tarred(each, "w:gz")], ids=["zip", "tar", "tar.gz"])
def test_over_a_limit_the_archive_fails(
    read: Read, pack: Callable[[Mapping[str, bytes]], bytes], options: Mapping[str, int], said: str
) -> None:
    noise = random.Random(1).randbytes(700_000)
    data = pack({"a.bin": noise, "b.bin": noise, "c.txt": NOTE})
    with pytest.raises(OverLimit) as caught:
        read("a.archive", data, **options)
    assert said in str(caught.value)


def test_limits_hold_over_all_depths(read: Read) -> None:
    inside = zipped({"a.bin": random.Random(1).randbytes(700_000)}, compresslevel=1)
    with pytest.raises(OverLimit, match="unpacks to more than 2 MiB"):
        read("a.zip", zipped({"1.zip": inside, "2.zip": inside}), max_unpacked_bytes=2 << 20)
    many = zipped({f"{number}.txt": NOTE for number in range(6)})
    with pytest.raises(OverLimit, match="holds more than 10 files"):
        read("a.zip", zipped({"1.zip": many, "2.zip": many}), max_members=10)


@pytest.mark.parametrize(
    ("name", "bomb"),
    [
        pytest.param("a.zip", lambda: zipped({"zéros.txt": bytes(30 << 20)}), id="zip"),
        pytest.param("a.gz", lambda: gzip.compress(bytes(30 << 20)), id="gz"),
        pytest.param("a.tar.bz2", lambda: tarred({"zéros.txt": bytes(30 << 20)}, "w:bz2"), id="tar.bz2"),
        pytest.param("a.tar.xz", lambda: tarred({"zéros.txt": bytes(30 << 20)}, "w:xz"), id="tar.xz"),
        pytest.param("a.zip", lambda: zipped({"b.zip": zipped({"zéros.txt": bytes(30 << 20)})}), id="zip-in-zip"),
    ],
)
def test_a_bomb_is_refused(read: Read, name: str, bomb: Callable[[], bytes]) -> None:
    started = time.monotonic()
    with pytest.raises(OverLimit, match="taken for a zip bomb"):
        read(name, bomb())
    assert time.monotonic() - started < 5


def test_a_zip_that_says_less_than_it_holds_is_bounded_by_what_it_says(read: Read) -> None:
    data = bytearray(zipped({"a.txt": b"x" * 5000, "b.txt": NOTE}))
    for mark, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        struct.pack_into("<L", data, data.index(mark) + at, 10)
    parsed = read("a.zip", bytes(data))
    assert set(texts(parsed)) == {"b.txt"}
    assert parsed.notes == ["a.txt: is damaged and cannot be unpacked"]


def test_files_that_share_bytes_are_a_bomb(read: Read) -> None:
    data = bytearray(zipped({"a.txt": NOTE, "b.txt": NOTE}))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    struct.pack_into("<L", data, second + 42, 0)
    with pytest.raises(OverLimit, match="share the same bytes"):
        read("a.zip", bytes(data))


def test_an_endless_list_of_folders_is_refused(read: Read) -> None:
    with pytest.raises(OverLimit, match=r"lists more than 20 entries"):
        read("a.zip", zipped({f"{number}/": b"" for number in range(30)}), max_members=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda data: data[: len(data) // 2], "is damaged", id="cut-off"),
        pytest.param(
            lambda data: data[:-22] + data[-22:-18] + struct.pack("<HH", 1, 1) + data[-14:], "was split", id="split"
        ),
    ],
)
def test_a_piece_of_a_zip_says_so(read: Read, change: Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises(ParseFailed, match=said):
        read("a.zip", change(zipped({"a.txt": NOTE * 50, "b.txt": NOTE * 50})))


def test_of_a_tar_that_is_cut_off_the_beginning_is_read(read: Read) -> None:
    noise = random.Random(2).randbytes(60_000).hex().encode()
    members = {"a.txt": NOTE, "b.txt": noise, "c.txt": NOTE}
    for data in (tarred(members)[:50_000], tarred(members, "w:gz")[:40_000]):
        parsed = read("a.tar", data)
        assert "a.txt" in texts(parsed)
        assert any("cut off" in note or "damaged" in note for note in parsed.notes)


def test_a_zip64_archive_is_read(read: Read) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive, archive.open("a.txt", "w", force_zip64=True) as member:
        member.write(NOTE)
    assert set(texts(read("a.zip", made.getvalue()))) == {"a.txt"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> Any:
    pool = Workers(Parsing(workers=2, memory_mb=512, time_limit_s=60))
    yield pool
    await pool.close()


def long_zip() -> bytes:
    return zipped({f"{number:03}.txt": f"Pompe {number}\n".encode() for number in range(450)})


@pytest.mark.asyncio(loop_scope="module")
async def test_a_long_archive_is_read_in_parts_as_it_would_be_at_once(tmp_path: Path, workers: Workers) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(long_zip())
    assert parts_of(path, "a.zip", ZIP) == [Part(1, 200), Part(201, 400), Part(401, 450)]
    whole = parse(path, "a.zip", ZIP)
    settings = Parsing(workers=2, memory_mb=512, time_limit_s=60)
    in_parts = await read_document(workers, settings, path, "a.zip", ZIP, options=Options.of(settings))
    assert in_parts.elements == whole.elements
    assert len(whole.elements) == 900


def test_an_archive_that_holds_others_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    files = {f"{number:03}.txt": NOTE for number in range(450)}
    path.write_bytes(zipped(files | {"sans nom": zipped(files)}))
    assert parts_of(path, "a.zip", ZIP) == []
    path.write_bytes(zipped(files))
    assert len(parts_of(path, "a.zip", ZIP)) == 3
