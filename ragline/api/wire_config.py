"""What `/api/config` answers, as Open WebUI's clients read it."""

from __future__ import annotations

from pydantic import BaseModel, JsonValue


class Features(BaseModel):
    """What there is. Chats, notes and channels are kept by clients, not here."""

    auth: bool
    auth_trusted_header: bool = False
    enable_signup: bool
    enable_login_form: bool
    enable_ldap: bool = False
    enable_api_keys: bool = True
    enable_websocket: bool = False
    enable_direct_connections: bool = False
    enable_folders: bool = False
    enable_channels: bool = False
    enable_notes: bool = False
    enable_web_search: bool = False
    enable_image_generation: bool = False
    enable_code_execution: bool = False
    enable_code_interpreter: bool = False
    enable_autocomplete_generation: bool = False
    enable_community_sharing: bool = False
    enable_message_rating: bool = False
    enable_user_webhooks: bool = False


class Config(BaseModel):
    """What a client has to know before anybody signs in. `onboarding`: nobody has a password yet."""

    status: bool = True
    onboarding: bool
    name: str = "Ragline"
    version: str
    default_locale: str = ""
    i18n: dict[str, JsonValue] = {}
    oauth: dict[str, JsonValue] = {"providers": {}}
    features: Features


class FileLimits(BaseModel):
    """`max_size` of one file in MiB; `max_count` is null: how many files a chat names is bounded by the chat."""

    max_size: int
    max_count: int | None = None


class FullConfig(Config):
    """The same, and what somebody who has signed in has to know."""

    default_models: str | None = None
    permissions: dict[str, dict[str, bool]]
    file: FileLimits
    audio: dict[str, JsonValue] = {"tts": {"engine": ""}, "stt": {"engine": ""}}
    code: dict[str, JsonValue] = {"engine": ""}
    ui: dict[str, JsonValue] = {}
