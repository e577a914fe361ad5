"""`pagoda user`: the workspace's users, while no server runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from pagoda.workspace.accounts.users import Users

_T = TypeVar("_T")
_Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The address that somebody signs in with.")]
_Role = Annotated[str, typer.Option("--role", help="admin, user, or pending (has to be approved).")]
_Ask = Annotated[
    bool, typer.Option("--ask", help="Ask for the password instead of making one for the first sign-in.")
]

app = typer.Typer(
    help="The workspace's users: list, add, password, role, delete.",
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_users() -> None:
    """List the users."""
    from pagoda.workspace.accounts.users import PAGE

    async def collect(users: Users) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        cursor: str | None = None
        while True:
            page = await users.page(cursor=cursor, limit=PAGE)
            found += page["users"]
            cursor = page["next"]
            if cursor is None:
                return found

    rows = [("E-MAIL", "NAME", "ROLE")]
    for user in _run("list", collect):
        role = str(user["role"]) if user["active"] else f"{user['role']}, deactivated"
        rows.append((str(user["email"]), str(user["name"]), role))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for email, name, role in rows:
        typer.echo(f"{email:<{widths[0]}}  {name:<{widths[1]}}  {role}")


@app.command()
def add(
    email: _Email,
    name: Annotated[str, typer.Option("--name", help="As the page shows it; the address's first part.")] = "",
    role: _Role = "user",
    ask: _Ask = False,
) -> None:
    """Add a user; prints a password for the first sign-in."""
    password = _ask() if ask else None

    async def create(users: Users) -> str | None:
        made = await users.create(None, name or email.partition("@")[0], email, role, password)
        return made[1]

    _tell(email, _run("add", create))


@app.command()
def password(email: _Email, ask: _Ask = False) -> None:
    """Give a user a new password and sign them out everywhere; prints it."""
    chosen = _ask() if ask else None

    async def reset(users: Users) -> str | None:
        return await users.reset_password(None, await users.by_email(email), chosen)

    _tell(email, _run("password", reset))


@app.command()
def role(
    email: _Email, new: Annotated[str, typer.Argument(metavar="ROLE", help="admin, user, pending.")]
) -> None:
    """Change what a user is: admin, user or pending."""

    async def change(users: Users) -> None:
        await users.change(None, await users.by_email(email), {"role": new, "active": True})

    _run("role", change)
    typer.echo(f"{email} is {new} now.")


@app.command()
def delete(
    email: _Email, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask again.")] = False
) -> None:
    """Delete a user with chats, files and keys."""
    if not yes:
        typer.confirm(f"Delete {email} with all chats, files and keys?", abort=True)

    async def remove(users: Users) -> None:
        await users.delete(None, await users.by_email(email))

    _run("delete", remove)
    typer.echo(f"{email} is deleted.")


def _run(command: str, work: Callable[[Users], Awaitable[_T]]) -> _T:
    from pagoda.cli.data_folder import alone, with_database
    from pagoda.workspace.accounts.passwords import Passwords
    from pagoda.workspace.accounts.users import Users
    from pagoda.workspace.storage.database import Database
    from pagoda.workspace.storage.migrate import prepare

    with alone(f"user {command}") as data_dir:

        async def run(database: Database) -> _T:
            await prepare(database)
            return await work(Users(database, Passwords(), data_dir))

        return with_database(data_dir, run)


def _ask() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _tell(email: str, made: str | None) -> None:
    if made is None:
        typer.echo(f"{email} signs in with the password that you gave.")
    else:
        typer.echo(f"{email} signs in once with {made} and chooses a password then.")
