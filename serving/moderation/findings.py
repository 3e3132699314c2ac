"""What the stages of the cascade find, and how it is joined."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from configs.labels import Action
from models.arrays import Box
from models.modalities import Modality
from serving.moderation.decoding import Picture
from serving.moderation.rules import Evidence


@dataclass(frozen=True)
class Chunk:
    """A piece of a transcript, and when it is said, in seconds from the start."""

    start_s: float
    end_s: float
    text: str


Transcript = tuple[Chunk, ...]  # in the order of time


@dataclass(frozen=True)
class Content:
    """One piece of content, judged together; `record` is what an item's own record shows."""

    texts: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    record: tuple["Finding", ...] = ()
    transcripts: tuple[Transcript, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Evidence in one part.

    Attributes:
        source: "text:<n>", "ocr:<n>" for the text in picture n, "picture:<n>", "transcript:<n>", or
            "record".
        evidence: its span is of the text of that source.
        box: where it stands in the picture as sent; None in texts.
        time_s: of a video, when it is shown; of a transcript, when it begins; 0 in pictures, None
            in texts.
        end_s: of a transcript, when it has been said.
    """

    source: str
    evidence: Evidence
    box: Box | None = None
    time_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Duplicate:
    """A part that is a copy of an entry of a bank.

    Attributes:
        way: what found it: "pdq", "geometry" or "minhash".
        distance: of PDQ in bits of 256; of MinHash the share of shingles that differ; of geometry
            None.
        inliers: local features that agree; None but for geometry.
    """

    source: str
    bank: str
    entry: str
    label: str
    action: Action
    way: str
    distance: float | None
    inliers: int | None


@dataclass(frozen=True)
class Found:
    """What one stage found, or several together.

    Attributes:
        scores: by modality and label, the likeliest part's.
        content_value: probabilities of use, of the text that is of most; None where there is none.
    """

    scores: Mapping[Modality, Mapping[str, float]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    content_value: Mapping[str, float] | None = None

    def joined(self, other: "Found") -> "Found":
        """Both together."""
        scores = dict(self.scores)
        for modality, more in other.scores.items():
            scores[modality] = likeliest([scores.get(modality, {}), more])
        return Found(
            scores,
            self.findings + other.findings,
            self.duplicates + other.duplicates,
            self.content_value or other.content_value,
        )

    def wanted(self, label: str) -> list[Action]:
        """What broken rules and known copies lead to for a label."""
        rules = [
            one.evidence.action
            for one in self.findings
            if one.evidence.label == label and one.evidence.violates
        ]
        return rules + [one.action for one in self.duplicates if one.label == label]


def likeliest(scores: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The largest score of each label."""
    largest: dict[str, float] = {}
    for one in scores:
        for label, score in one.items():
            largest[label] = max(score, largest.get(label, 0.0))
    return largest
