"""Schema of ``configs/characters.yaml``: characters that look or read alike."""

from pathlib import Path

from pydantic import field_validator

from configs.load import load
from configs.schema import Section

PATH = Path(__file__).with_name("characters.yaml")


class Characters(Section):
    """Tables of canonical text.

    Attributes:
        confusables: Latin letter -> characters drawn like it.
        symbols: sign or emoji -> what it is written for.
        split_characters: words of three: a character and the two halves written for it.
    """

    confusables: dict[str, str]
    symbols: dict[str, str]
    split_characters: str

    @field_validator("split_characters")
    @classmethod
    def _three_each(cls, entries: str) -> str:
        strange = [entry for entry in entries.split() if len(entry) != 3]
        if strange:
            raise ValueError(f"every entry is a character and two halves; not so: {strange[:5]}")
        return entries

    def joined(self) -> dict[str, str]:
        """Two halves -> their character."""
        return {entry[1:]: entry[0] for entry in self.split_characters.split()}

    def lookalikes(self) -> dict[str, str]:
        """Character -> the Latin letter it is drawn like."""
        return {drawn: letter for letter, like in self.confusables.items() for drawn in like}


def load_characters(path: Path = PATH) -> Characters:
    """Read the tables; no environment variable changes them."""
    return load(path, Characters, environ={})
