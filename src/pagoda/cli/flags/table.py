"""The flags of `pagoda serve`, group by group."""

from __future__ import annotations

from pagoda.cli.flags.chat import CHAT
from pagoda.cli.flags.flag import Table
from pagoda.cli.flags.memory import MEMORY
from pagoda.cli.flags.model import MODEL
from pagoda.cli.flags.old import OLD
from pagoda.cli.flags.other import OTHER
from pagoda.cli.flags.own import OWN
from pagoda.cli.flags.parallel import PARALLEL
from pagoda.cli.flags.rare import RARE
from pagoda.cli.flags.server import SERVER

SERVE = Table((MODEL, SERVER, CHAT, MEMORY, PARALLEL, OTHER, OWN, OLD, RARE))
