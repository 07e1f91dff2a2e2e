"""Stage `fetch`: open icon, emoji and clip-art sets, and WordNet, into one work folder.

npm and apt-get bring them by name, as set up on the machine. No package script is run.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

NPM_PACKAGES = (
    "@iconify-json/noto@1.2.9",
    "@iconify-json/fluent-emoji-flat@1.2.6",
    "@iconify-json/twemoji@1.2.5",
    "@iconify-json/game-icons@1.2.4",
    "@tabler/icons@3.51.0",
    "lucide-static@1.62.0",
    "@phosphor-icons/core@2.1.1",
    "@mdi/svg@7.4.47",
    "@fluentui/svg-icons@1.1.343",
    "cldr-annotations-full@48.2.0",
    "bootstrap-icons@1.13.2",  # evaluation only
    "openmoji@17.0.0",  # evaluation only
)
DEBIAN_PACKAGES = ("wordnet-base", "openclipart-png", "openclipart-svg")


def fetch(work: Path) -> None:
    """Bring every package into `work/npm` and `work/debian`; what is there already stays.

    Raises FileNotFoundError when npm or apt-get is missing, CalledProcessError when one fails.
    """
    npm = work / "npm"
    if not (npm / "node_modules" / "openmoji").is_dir():
        npm.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *NPM_PACKAGES],
            cwd=npm,
            check=True,
        )
    debian = work / "debian"
    if not (debian / "usr/share/wordnet/data.noun").is_file():
        packages = work / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", *DEBIAN_PACKAGES], cwd=packages, check=True)
        for package in sorted(packages.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(debian)], check=True)
