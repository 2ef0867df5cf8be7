"""The environment of this process and its children: libraries that phone home, or spin for long, are told not to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

QUIET: Mapping[str, str] = MappingProxyType(
    {
        # unstructured, Prefect's client and huggingface_hub read this one.
        "DO_NOT_TRACK": "1",
        "SCARF_NO_ANALYTICS": "true",
        "UNSTRUCTURED_DISABLE_NOTICE": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # onnxruntime's Linux wheels send events to Microsoft, from the moment the library is loaded.
        "ORT_DISABLE_TELEMETRY": "1",
        # Nothing of Ragline's comes from the hub: a library that tries has taken a wrong turn.
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # How often a thread of OpenMP, which llama.cpp uses, looks for the others before it sleeps. With OpenMP's own
        # 300,000 one other busy process takes a model on two cores down to a hundredth of its speed.
        "GOMP_SPINCOUNT": "1000",
    }
)
"""Variables that switch telemetry, look-ups and long spinning off. Each library reads its own when it is imported."""

_WORKERS_MAY_KNOW = re.compile(
    r"PATH|LANG|LANGUAGE|LC_\w+|TZ|HOME|PYTHON\w*|VIRTUAL_ENV|LD_LIBRARY_PATH|LD_PRELOAD|DYLD_\w+|TESSDATA_PREFIX"
    r"|(?:OMP|GOMP|KMP|MKL|OPENBLAS|RAYON|MALLOC)_\w+"
)
"""Variables that programs and libraries need to run at all; whatever else there is may be a secret."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


def quiet_libraries() -> None:
    """Set the variables of `QUIET` that are not set; call it before a heavy library is imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def child_environment(extra: Mapping[str, str] = _NOTHING) -> dict[str, str]:
    """Return the variables for a child process: `QUIET`, over it this process's own, over them `extra`."""
    return {**QUIET, **os.environ, **extra}


def worker_environment(folder: Path) -> dict[str, str]:
    """Return the variables for a process that reads files: no secrets, and `folder` for its temporary files."""
    known = {name: value for name, value in os.environ.items() if _WORKERS_MAY_KNOW.fullmatch(name)}
    return {**QUIET, **known, **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(folder))}


def settings_files() -> list[Path]:
    """Return the files of this place that hold settings, and perhaps secrets, by their full paths."""
    files = (Path(os.environ.get("RAGLINE_CONFIG", "ragline.toml")), Path("ragline.toml"), Path(".env"))
    return [file.resolve() for file in files if file.is_file()]


def command_folders() -> Iterator[Path]:
    """Yield the folders where this process finds programs, their libraries and the languages of tesseract."""
    for name in ("PATH", "LD_LIBRARY_PATH", "TESSDATA_PREFIX"):
        yield from (Path(part) for part in os.environ.get(name, "").split(os.pathsep) if os.path.isabs(part))


def remember_settings_file(path: Path) -> None:
    """Let child processes read the settings file that this one was told to read."""
    os.environ["RAGLINE_CONFIG"] = str(path.resolve())
