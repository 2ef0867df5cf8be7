"""What an account may do, in the groups and names that Open WebUI's clients look at."""

from __future__ import annotations

from collections.abc import Mapping

from ragline.types import User

ALLOWED: Mapping[str, str] = {
    "workspace": "knowledge",
    "sharing": "knowledge public_knowledge",
    "access_grants": "allow_users",
    "chat": "controls system_prompt params file_upload web_upload continue_response regenerate_response edit "
    "multiple_models temporary temporary_enforced",
    "features": "api_keys",
    "settings": "",
}
"""What every admitted account may do. Chats are all temporary: none is stored."""

ABSENT: Mapping[str, str] = {
    "workspace": "models prompts tools skills models_import models_export models_hidden prompts_import prompts_export "
    "tools_import tools_export skills_import skills_export",
    "sharing": "models public_models prompts public_prompts tools public_tools skills public_skills notes public_notes "
    "folders public_chats open_chats public_calendars",
    "access_grants": "allow_groups",
    "chat": "valves delete delete_message rate_response share export import stt tts call",
    "features": "notes folders channels encrypted_channels direct_tool_servers web_search image_generation "
    "code_interpreter memories automations calendar webhooks",
    "settings": "interface",
}
"""What clients ask for and Ragline has not."""


def permissions_of(user: User) -> dict[str, dict[str, bool]]:
    """Return the permissions by group; a pending account has none."""
    admitted = user.role != "pending"
    return {
        group: dict.fromkeys(names.split(), admitted) | dict.fromkeys(ABSENT[group].split(), False)
        for group, names in ALLOWED.items()
    }
