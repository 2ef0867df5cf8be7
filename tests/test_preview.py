"""`ragline chunks`: what a file would become, printed, and nothing stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner

from ragline.cli import main
from ragline.cli.chunks import ENGINES, PROFILES
from ragline.config.settings import Engine, Profile

FAQ = """# Foire aux questions

## Combien dure la garantie ?

La garantie de la pompe Zéphyr dure 27 mois à partir de la livraison.

## Où la faire réparer ?

Chez le revendeur, avec la facture d’achat.
"""


@pytest.fixture
def data_dir(tmp_path: Path, models_folder: Path, empty_machine: None) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models_folder)
    return tmp_path / "data"


def preview(data_dir: Path, name: str, content: str | bytes, *options: str) -> tuple[int, str]:
    path = data_dir.parent / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    done = CliRunner().invoke(main, ["chunks", str(path), "--data-dir", str(data_dir), *options])
    return done.exit_code, done.output


def as_json(data_dir: Path, name: str, content: str, *options: str) -> Any:
    code, output = preview(data_dir, name, content, "--json", *options)
    assert code == 0, output
    return json.loads(output)


def test_the_command_knows_every_profile_and_engine() -> None:
    assert (get_args(Profile), get_args(Engine)) == (PROFILES, ENGINES)


def test_each_passage_is_shown_with_its_place_and_what_is_embedded_before_it(data_dir: Path) -> None:
    code, output = preview(data_dir, "la pompe.md", FAQ, "--profile", "qa")
    assert code == 0
    assert "  Foire aux questions › Où la faire réparer ?  text  fr  " in output
    assert "    + la pompe › Foire aux questions\n    Où la faire réparer ?\n" in output
    assert "\n2 passages of " in output
    assert [path.name for path in data_dir.iterdir()] == ["models"]


def test_json_has_the_passages_as_stretches_of_the_text(data_dir: Path) -> None:
    found = as_json(data_dir, "a.txt", "La pompe est en panne. " * 90, "--max-tokens", "64", "--no-prefix")
    passages = found["passages"]
    assert (found["file"], found["content_type"], found["notes"]) == ("a.txt", "text/plain", [])
    assert len(passages) > 5
    assert all(one["embedded"] == one["text"] and one["tokens"] <= 64 for one in passages)
    assert {one["end"] - one["start"] - len(one["text"]) for one in passages} == {0}
    alone = as_json(data_dir, "a.txt", "La pompe est en panne. " * 90, "--max-tokens", "64", "--overlap-tokens", "0")
    assert len(alone["passages"]) <= len(passages)


def test_a_long_passage_is_shortened_unless_all_is_asked_for(data_dir: Path) -> None:
    text = "La pompe est en panne depuis mardi. " * 20 + "Fin."
    assert "Fin." not in preview(data_dir, "a.txt", text)[1]
    assert "Fin." in preview(data_dir, "a.txt", text, "--full")[1]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        pytest.param(["--max-tokens", "2"], 2, "max_tokens: Input should be greater than or equal to 16", id="small"),
        pytest.param(["--max-tokens", "20", "--overlap-tokens", "20"], 2, "must be less than max_tokens", id="overlap"),
        pytest.param(["--profile", "poem"], 2, "'poem' is not one of", id="profile"),
    ],
)
def test_options_that_are_none_are_refused(data_dir: Path, options: list[str], code: int, said: str) -> None:
    ended, output = preview(data_dir, "a.txt", "Un mot.", *options)
    assert (ended, said in output) == (code, True), output


def test_what_cannot_be_read_is_said_in_a_line(data_dir: Path) -> None:
    code, output = preview(data_dir, "a.md", b"\x7fELF\x00\x01\x02\x03" * 100)
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith("ragline: 'a.md' cannot be read: it is ")


def test_the_screen_of_the_reader_is_left_alone(data_dir: Path) -> None:
    _, output = preview(data_dir, "a.txt", "Rouge \x1b[31m et la fin.")
    assert "\x1b" not in output
