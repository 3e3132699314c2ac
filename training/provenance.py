"""Where a trained bundle comes from."""

import subprocess

from models.bundle import DataFacts, Provenance


def provenance(seed: int, facts: DataFacts) -> Provenance:
    """The revision of the code, the seed and the data."""
    return Provenance(parent=None, code_revision=code_revision(), seed=seed, data=facts)


def code_revision() -> str:
    """Of the checkout; ``unknown`` outside one."""
    told = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"
