import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The development data; CI must have it, another machine may lack it."""
    root = Path(os.environ.get("TIDEGATE_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not root.is_dir():
        message = f"{root}: no development data; set TIDEGATE_DATA to its folder"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return root
