"""The environment of this process and its children: libraries that phone home, or spin for long, are told not to."""

from __future__ import annotations

import os
from collections.abc import Mapping
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

_NOTHING: Mapping[str, str] = MappingProxyType({})


def quiet_libraries() -> None:
    """Set the variables of `QUIET` that are not set; call it before a heavy library is imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def child_environment(extra: Mapping[str, str] = _NOTHING) -> dict[str, str]:
    """Return the variables for a child process: `QUIET`, over it this process's own, over them `extra`."""
    return {**QUIET, **os.environ, **extra}


def remember_settings_file(path: Path) -> None:
    """Let child processes read the settings file that this one was told to read."""
    os.environ["RAGLINE_CONFIG"] = str(path.resolve())
