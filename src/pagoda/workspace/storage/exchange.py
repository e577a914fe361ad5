"""What a restore unpacked takes the place of what is there: whole, also where the server is killed meanwhile.

A file in the data folder says what is to be done before anything moves; whoever begins next finishes it.
"""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path

from pagoda.workspace.storage.database import SQLITE_FILE, DatabaseError
from pagoda.workspace.storage.sealing import KEY_FILE

FILES = "files"
_PLAN = ".exchange.json"  #: there while an exchange is not whole


def exchange(draft: Path, data_dir: Path, database: str | None = None) -> Path | None:
    """Puts what was unpacked in place of what is there, which goes to the folder beside that is returned.
    database: the file of SQLite's, where that is exchanged too.
    """
    aside = data_dir / f"before-restore-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    places = [data_dir / FILES, data_dir / KEY_FILE]
    if database is not None:
        places += [Path(database + end) for end in ("", "-wal", "-shm")]
    old = [_from(data_dir, path) for path in places if path.exists()]
    place = None if database is None else _from(data_dir, Path(database))
    plan = {"draft": draft.name, "aside": aside.name, "old": old, "database": place}
    written = data_dir / f"{_PLAN}.new"
    written.write_text(json.dumps(plan), "utf-8")
    written.replace(data_dir / _PLAN)
    try:
        finish_exchange(data_dir)
    except OSError:
        for name in old:
            _put_back(aside / Path(name).name, data_dir / name)
        if aside.exists():
            aside.rmdir()
        (data_dir / _PLAN).unlink()
        raise
    return aside if old else None


def finish_exchange(data_dir: Path) -> bool:
    """Does what is left of an exchange; False where there is none. Nothing else may use the files meanwhile.

    Raises DatabaseError where what was unpacked is gone, and OSError.
    """
    import shutil

    marker = data_dir / _PLAN
    if not marker.exists():
        return False
    plan = json.loads(marker.read_text("utf-8"))
    draft, aside, database = data_dir / plan["draft"], data_dir / plan["aside"], plan["database"]
    if not draft.is_dir():
        raise DatabaseError(
            f"a restore was broken off and {draft} is gone; what was here before lies in {aside}: "
            f"put it back into {data_dir} and remove {marker}"
        )
    if plan["old"]:
        aside.mkdir(mode=0o700, exist_ok=True)
    for path in (data_dir / name for name in plan["old"]):
        if not (aside / path.name).exists():
            path.replace(aside / path.name)
    for name in (FILES, KEY_FILE):
        if (draft / name).exists():
            (draft / name).replace(data_dir / name)
    if database is not None and (draft / SQLITE_FILE).exists():
        (draft / SQLITE_FILE).replace(data_dir / database)
    shutil.rmtree(draft)
    marker.unlink()
    return True


def _from(data_dir: Path, path: Path) -> str:
    """A path that holds where the data folder is moved; one outside of it as it is."""
    return str(path.relative_to(data_dir) if path.is_relative_to(data_dir) else path)


def _put_back(kept: Path, place: Path) -> None:
    import shutil

    if not kept.exists():
        return
    if place.is_dir():
        shutil.rmtree(place)
    kept.replace(place)


def undo_restore(aside: Path, data_dir: Path, database: str) -> None:
    """Puts what a restore laid aside back in its place; what had taken it goes. For SQLite."""
    import shutil

    (data_dir / KEY_FILE).unlink(missing_ok=True)
    shutil.rmtree(data_dir / FILES, ignore_errors=True)
    for end in ("", "-wal", "-shm"):
        Path(database + end).unlink(missing_ok=True)
    for path in aside.iterdir():
        beside = path.name in (FILES, KEY_FILE)
        path.replace((data_dir if beside else Path(database).parent) / path.name)
    aside.rmdir()
