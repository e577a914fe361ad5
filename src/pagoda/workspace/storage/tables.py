"""The tables. Message rows are the only truth about a chat; nothing is stored twice.

Times are milliseconds since the epoch, ids those of `values.new_id`. JSON columns hold plain objects; their
shapes are told beside them. Sealed columns hold what `sealing.Sealer` makes of a secret.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, MetaData, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pagoda.workspace.storage.values import CleanText, new_id, now_ms

Json = JSON().with_variant(JSONB(), "postgresql")
_CASCADE = "CASCADE"


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can name them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        str: CleanText,
        int: BigInteger,
        dict[str, Any]: Json,
        list[Any]: Json,
    }


class User(Base):
    """role: "admin", "user", or "pending" until an administrator approves. email: lower case. password_hash:
    None for the one user of a house without sign-in. password_expired: it is to be changed first of all.
    """

    __tablename__ = "user"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str | None]
    password_expired: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[int] = mapped_column(default=now_ms)
    last_active_at: Mapped[int | None]


class Session(Base):
    """A signed-in browser. Only the SHA-256 of the cookie's token is kept."""

    __tablename__ = "session"
    token_hash: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE), index=True)
    created_at: Mapped[int] = mapped_column(default=now_ms)
    expires_at: Mapped[int]
    last_used_at: Mapped[int] = mapped_column(default=now_ms)
    user_agent: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="")


class ApiKey(Base):
    """A personal key for /v1; `prefix` is what is shown of it afterwards."""

    __tablename__ = "api_key"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int] = mapped_column(default=now_ms)
    expires_at: Mapped[int | None]
    last_used_at: Mapped[int | None]


class Invitation(Base):
    """A link that makes one account. email: the only address that it is for, or None."""

    __tablename__ = "invitation"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    token_hash: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str | None]
    role: Mapped[str] = mapped_column(default="user")
    created_by: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    created_at: Mapped[int] = mapped_column(default=now_ms)
    expires_at: Mapped[int]
    used_at: Mapped[int | None]
    used_by: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))


class Group(Base):
    """permissions: name -> true. They add to what everybody may."""

    __tablename__ = "group"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    permissions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[int] = mapped_column(default=now_ms)


class GroupMember(Base):
    __tablename__ = "group_member"
    group_id: Mapped[str] = mapped_column(ForeignKey("group.id", ondelete=_CASCADE), primary_key=True)
    user_id: Mapped[str] = mapped_column(
        ForeignKey("user.id", ondelete=_CASCADE), primary_key=True, index=True
    )


class Grant(Base):
    """resource_type: connection, model, prompt, function. principal_type: user, group, everyone ("*").
    permission: read or write.
    """

    __tablename__ = "grant"
    resource_type: Mapped[str] = mapped_column(primary_key=True)
    resource_id: Mapped[str] = mapped_column(primary_key=True)
    principal_type: Mapped[str] = mapped_column(primary_key=True)
    principal_id: Mapped[str] = mapped_column(primary_key=True)
    permission: Mapped[str] = mapped_column(primary_key=True, default="read")


class Connection(Base):
    """An OpenAI-compatible server. owner_id: None for the house's. allowed_models: None for all.
    visibility: "everyone" or "granted".
    """

    __tablename__ = "connection"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE), index=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(default="openai")
    base_url: Mapped[str]
    key_sealed: Mapped[str | None]
    prefix: Mapped[str] = mapped_column(default="")
    allowed_models: Mapped[list[Any] | None]
    visibility: Mapped[str] = mapped_column(default="everyone")
    enabled: Mapped[bool] = mapped_column(default=True)
    position: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int] = mapped_column(default=now_ms)


class Model(Base):
    """What is set about a model, or a preset (base_id) made from one. `id` is what requests name.

    meta: system, filter_ids, action_ids, default_filter_ids, capabilities, thinking.
    """

    __tablename__ = "model"
    id: Mapped[str] = mapped_column(primary_key=True)
    base_id: Mapped[str | None]
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE), index=True)
    name: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    icon: Mapped[str] = mapped_column(default="")
    position: Mapped[int] = mapped_column(default=0)
    enabled: Mapped[bool] = mapped_column(default=True)
    visibility: Mapped[str] = mapped_column(default="everyone")
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    meta: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[int] = mapped_column(default=now_ms)
    updated_at: Mapped[int] = mapped_column(default=now_ms)


class Folder(Base):
    __tablename__ = "folder"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE), index=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("folder.id", ondelete=_CASCADE))
    name: Mapped[str]
    position: Mapped[int] = mapped_column(default=0)
    meta: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Chat(Base):
    """leaf_id: the visible branch ends there. title_from: "words", "model" or "user". models: who answers.
    params: system, temperature and the like. share_id: of the link inside the house.
    """

    __tablename__ = "chat"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE))
    title: Mapped[str] = mapped_column(default="")
    title_from: Mapped[str] = mapped_column(default="words")
    folder_id: Mapped[str | None] = mapped_column(ForeignKey("folder.id", ondelete="SET NULL"), index=True)
    pinned: Mapped[bool] = mapped_column(default=False)
    archived: Mapped[bool] = mapped_column(default=False)
    leaf_id: Mapped[str | None]
    models: Mapped[list[Any]] = mapped_column(default=list)
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    filter_ids: Mapped[list[Any]] = mapped_column(default=list)
    meta: Mapped[dict[str, Any]] = mapped_column(default=dict)
    share_id: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[int] = mapped_column(default=now_ms)
    updated_at: Mapped[int] = mapped_column(default=now_ms)
    __table_args__ = (Index("ix_chat_user_updated", "user_id", "archived", "updated_at"),)


class Message(Base):
    """status: streaming, done, stopped, failed. parts: typed items (text, reasoning, image, file, tool_call,
    status, source, embed). text: what search looks at. usage and timing: the engine's own record.
    """

    __tablename__ = "message"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    chat_id: Mapped[str] = mapped_column(ForeignKey("chat.id", ondelete=_CASCADE))
    parent_id: Mapped[str | None]
    role: Mapped[str]
    model_id: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="done")
    parts: Mapped[list[Any]] = mapped_column(default=list)
    text: Mapped[str] = mapped_column(default="")
    usage: Mapped[dict[str, Any] | None]
    timing: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    rating: Mapped[int | None]
    meta: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[int] = mapped_column(default=now_ms)
    __table_args__ = (Index("ix_message_chat_parent", "chat_id", "parent_id"),)


class ChatTag(Base):
    __tablename__ = "chat_tag"
    chat_id: Mapped[str] = mapped_column(ForeignKey("chat.id", ondelete=_CASCADE), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE), index=True)


class File(Base):
    """status: ready or failed. text: what was read out of it. tokens: model id -> count. The bytes lie in the
    data folder under the id.
    """

    __tablename__ = "file"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE), index=True)
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[str]
    text: Mapped[str | None]
    tokens: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(default="ready")
    error: Mapped[str | None]
    meta: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[int] = mapped_column(default=now_ms)


class Prompt(Base):
    """A text of the library, called by /command. visibility: "private", "granted" or "everyone"."""

    __tablename__ = "prompt"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE))
    command: Mapped[str]
    title: Mapped[str]
    content: Mapped[str]
    visibility: Mapped[str] = mapped_column(default="private")
    created_at: Mapped[int] = mapped_column(default=now_ms)
    updated_at: Mapped[int] = mapped_column(default=now_ms)
    __table_args__ = (UniqueConstraint("user_id", "command"),)


class Function(Base):
    """A plugin. type: filter, pipe or action. manifest: its frontmatter. error: why it does not load."""

    __tablename__ = "function"
    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    name: Mapped[str]
    content: Mapped[str]
    manifest: Mapped[dict[str, Any]] = mapped_column(default=dict)
    valves_sealed: Mapped[str | None]
    active: Mapped[bool] = mapped_column(default=False)
    is_global: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    meta: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[int] = mapped_column(default=now_ms)
    updated_at: Mapped[int] = mapped_column(default=now_ms)


class UserValves(Base):
    __tablename__ = "user_valves"
    function_id: Mapped[str] = mapped_column(ForeignKey("function.id", ondelete=_CASCADE), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete=_CASCADE), primary_key=True)
    values_sealed: Mapped[str]


class Setting(Base):
    """What an administrator has set; the environment goes before it."""

    __tablename__ = "setting"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]  #: {"value": ...}
    updated_at: Mapped[int] = mapped_column(default=now_ms)


class UsageEvent(Base):
    """One answer as the engine counted it. source: page, api or task."""

    __tablename__ = "usage_event"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    model_id: Mapped[str]
    source: Mapped[str]
    chat_id: Mapped[str | None]
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    cached_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    reasoning_tokens: Mapped[int] = mapped_column(default=0)
    ttft_ms: Mapped[int | None]
    duration_ms: Mapped[int | None]
    created_at: Mapped[int] = mapped_column(default=now_ms, index=True)


class AuditEvent(Base):
    """What an administrator, or somebody at the door, has done."""

    __tablename__ = "audit_event"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    action: Mapped[str]
    target_type: Mapped[str] = mapped_column(default="")
    target_id: Mapped[str] = mapped_column(default="")
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address: Mapped[str] = mapped_column(default="")
    created_at: Mapped[int] = mapped_column(default=now_ms, index=True)
