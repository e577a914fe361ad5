from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pagoda.hub.errors import HubError
from pagoda.hub.home import DataFolderLock, pagoda_home

HOLD = """
import sys
from pathlib import Path
from pagoda.hub.home import DataFolderLock
lock = DataFolderLock(Path(sys.argv[1]))
lock.acquire("http://127.0.0.1:8000")
print("held", flush=True)
sys.stdin.read()
"""


def test_where_the_data_folder_is() -> None:
    assert pagoda_home({"PAGODA_HOME": "/srv/pagoda", "XDG_DATA_HOME": "/x"}) == Path("/srv/pagoda")
    assert pagoda_home({"XDG_DATA_HOME": "/x"}) == Path("/x/pagoda")
    assert pagoda_home({}) == Path.home() / ".local/share/pagoda"


def test_a_second_server_is_told_who_was_first(tmp_path: Path) -> None:
    first, second = DataFolderLock(tmp_path), DataFolderLock(tmp_path)
    first.acquire("http://127.0.0.1:0")
    first.announce("http://127.0.0.1:8123")
    with pytest.raises(HubError) as caught:
        second.acquire("http://127.0.0.1:8124")
    line = str(caught.value)
    assert all(
        word in line for word in (f"pid {os.getpid()}", "http://127.0.0.1:8123", str(tmp_path), "PAGODA_HOME")
    )
    first.release()
    second.acquire("http://127.0.0.1:8124")
    second.release()


def test_the_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        lock = DataFolderLock(tmp_path)
        with pytest.raises(HubError, match=f"pid {holder.pid}, http://127"):
            lock.acquire("http://127.0.0.1:8001")
        holder.kill()
        holder.wait()
        lock.acquire("http://127.0.0.1:8001")
        lock.release()


def test_a_folder_that_cannot_be_made_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HubError, match="PAGODA_HOME"):
        DataFolderLock(tmp_path / "file" / "home").acquire("http://127.0.0.1:8000")
