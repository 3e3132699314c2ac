"""Where a trained bundle comes from."""

import subprocess

from models.bundle import DataFacts, Provenance


def provenance(seed: int, facts: DataFacts) -> Provenance:
    """The revision of the code, the seed and the data."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return Provenance(parent=None, code_revision=revision or "unknown", seed=seed, data=facts)
