"""What the pages promise is run: shell blocks marked ``run`` and all Python blocks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(python|sh run)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(kind, text, id=f"{page.name}:{n}")
    for page in PAGES
    for n, (kind, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]
MODULE = re.compile(r"python -m ([a-z_.]+)")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize(("kind", "text"), BLOCKS)
def test_block_runs(kind: str, text: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", text] if kind == "python" else ["bash", "-euc", text]
    environment = os.environ | {
        "OUT": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_modules_and_linked_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in MODULE.findall(text):
        path = ROOT / name.rstrip(".").replace(".", "/")
        installed = name.split(".")[0] in {"pytest", "ruff", "mypy", "venv", "pip"}
        assert installed or path.with_suffix(".py").exists() or (path / "__main__.py").exists()
    for target in LINK.findall(text):
        assert (page.parent / target).exists(), target
