"""Names of folders and collections."""

from __future__ import annotations

import re

from ragline.connectors.vectors.layout import store_name


def test_names_are_safe_for_folders_and_urls() -> None:
    for model_id in ("multilingual-e5-small@q8", "../../etc/passwd", "Ünï/çode:7b", "", "x" * 500):
        assert re.fullmatch(r"ragline_[a-z0-9-]*_[0-9a-f]{8}", store_name(model_id))
        assert len(store_name(model_id)) < 100


def test_model_ids_that_look_alike_have_different_names() -> None:
    assert len({store_name(model_id) for model_id in ("a/b", "a:b", "a-b", "A-B")}) == 4
