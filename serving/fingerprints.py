"""Fingerprints of known pictures on disk: derived from their files once, not at every start."""

import io
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embeddings.fingerprint import Fingerprint, LocalFeatures
from serving.media import path_of

FORMAT = 1  # of the files; another one when `embeddings.fingerprint` gives other values


@dataclass(frozen=True)
class FingerprintFiles:
    """One file a picture and bundle: what is seen in a picture is the bundle's encoder's."""

    folder: Path

    def load(self, version: str, sha256: str) -> Fingerprint | None:
        """What was kept of a picture; None where nothing is, or it cannot be read."""
        try:
            with np.load(self._path(version, sha256), allow_pickle=False) as kept:
                return _unpacked({name: kept[name] for name in kept.files})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def keep(self, version: str, sha256: str, found: Fingerprint) -> None:
        """Keep one; a file is there whole or not at all.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        path = self._path(version, sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        np.savez(file, **_packed(found))  # type: ignore[arg-type]  # its stub has one flag
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as arrived:
                arrived.write(file.getvalue())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)

    def _path(self, version: str, sha256: str) -> Path:
        return path_of(self.folder / f"{FORMAT}-{version}", sha256)


def _packed(found: Fingerprint) -> dict[str, np.ndarray]:
    seen = {} if found.seen is None else {"seen": found.seen}
    return {
        "hashes": found.hashes,
        "quality": np.array(found.quality),
        "points": found.local.points,
        "descriptors": found.local.descriptors,
        "mirrored_points": found.mirrored.points,
        "mirrored_descriptors": found.mirrored.descriptors,
    } | seen


def _unpacked(kept: dict[str, np.ndarray]) -> Fingerprint:
    return Fingerprint(
        kept["hashes"],
        int(kept["quality"]),
        LocalFeatures(kept["points"], kept["descriptors"]),
        LocalFeatures(kept["mirrored_points"], kept["mirrored_descriptors"]),
        kept.get("seen"),
    )
