"""Evaluations in the settings: what is wrong with them, and how the command finds them by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ragline.cli import main
from ragline.config.load import load_settings
from ragline.errors import SetupError

GOOD = '[[evaluations]]\nname = "contrats"\npath = "golden.csv"\ncollection = "Contrats"\nfail_under = 0.8\n'


@pytest.mark.usefixtures("empty_machine")
@pytest.mark.parametrize(
    ("toml", "said"),
    [
        pytest.param(GOOD + GOOD, "2 are named 'contrats'; names must be unique", id="twice"),
        pytest.param(GOOD + 'cron = "61 3 * * *"\n', "evaluation 'contrats': cron '61 3 * * *'", id="cron"),
        pytest.param(GOOD + 'timezone = "Paris"\n', "timezone 'Paris' is not known; name one", id="timezone"),
        pytest.param(GOOD.replace("0.8", "8"), "fail_under = 8", id="fail-under"),
        pytest.param(GOOD.replace("contrats", "Contrats été"), "is no name for a source", id="name"),
    ],
)
def test_what_is_wrong_with_an_evaluation_is_said(tmp_path: Path, toml: str, said: str) -> None:
    (tmp_path / "ragline.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(SetupError) as raised:
        load_settings()
    assert said in str(raised.value)


@pytest.mark.usefixtures("empty_machine")
def test_a_name_that_is_neither_a_path_nor_an_evaluation_names_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "ragline.toml").write_text(GOOD, encoding="utf-8")
    done = CliRunner().invoke(main, ["eval", "contrat"])
    assert done.exit_code == 1
    assert "'contrat': there is no such folder or file, nor an evaluation; known: contrats" in done.stderr
    found = CliRunner().invoke(main, ["eval", "contrats"])
    assert "'golden.csv': there is no such folder or file" in found.stderr
