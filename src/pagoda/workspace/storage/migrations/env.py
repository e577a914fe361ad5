"""Run by Alembic: on the connection that an upgrade gives, or on an empty database for a new revision."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import MigrationScript
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Connection, create_engine

from pagoda.workspace.storage.tables import Base
from pagoda.workspace.storage.values import CleanText


def upgrade(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transactional_ddl=True,  # SQLite's is, too, when the driver leaves transactions alone
        render_item=_render,
        render_as_batch=True,
        process_revision_directives=_number,
    )
    with context.begin_transaction():
        context.run_migrations()


def new_revision() -> None:
    """Compares the tables with what the revisions so far make of nothing."""
    from alembic import command
    from alembic.config import Config

    with create_engine("sqlite://").begin() as connection:
        config = Config(context.config.config_file_name)
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        if script.get_heads():
            command.upgrade(config, "head")
        upgrade(connection)


def _render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Types by what they are in the database, whatever their classes here become."""
    if kind != "type" or not isinstance(item, CleanText | JSON):
        return False
    return "JSON" if isinstance(item, JSON) else "sa.String()"


def _number(_context: object, _revision: object, directives: list[MigrationScript]) -> None:
    head = ScriptDirectory.from_config(context.config).get_current_head()
    for directive in directives:
        directive.rev_id = f"{int(head or 0) + 1:04}"


given = context.config.attributes.get("connection")
if given is None:
    new_revision()
else:
    upgrade(given)
