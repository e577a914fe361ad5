"""`python -m pagoda.entrypoints.openai.api_server --model MODEL`: the same as `pagoda serve`."""

from __future__ import annotations

import sys

from pagoda.cli.main import run

if __name__ == "__main__":
    sys.exit(run(["serve", *sys.argv[1:]]))
