"""Schema of ``configs/labels.yaml``: what moderation looks for and what follows."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from configs.load import load
from configs.regions import known_regions
from configs.schema import Section

PATH = Path(__file__).with_name("labels.yaml")

Action = Literal["pass", "review", "block"]
Modality = Literal["text", "ocr", "image", "video", "record"]
OPENAI_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


class Label(Section):
    """One kind of violation.

    Attributes:
        severity: 1 nuisance to 4 danger to life or to a child.
        evidence: what enforcement rests on; "observe" is scored and never enforced.
        action: by region, with a "default".
        parent: the label that every such violation also has.
    """

    severity: int = Field(ge=1, le=4)
    modalities: tuple[Modality, ...] = Field(min_length=1)
    evidence: Literal["labelled", "rules", "observe"]
    action: dict[str, Action]
    parent: str | None = None

    @property
    def enforced(self) -> bool:
        """Whether a violation may have any consequence."""
        return self.evidence != "observe"

    def action_in(self, region: str) -> Action:
        """What an enforced violation leads to in a region."""
        return self.action.get(region, self.action["default"])


class Labels(Section):
    """All labels in order, and groups that are evaluated together."""

    labels: dict[str, Label]
    groups: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        missing = [name for name in OPENAI_CATEGORIES if name not in self.labels]
        if missing:
            raise ValueError(f"the OpenAI categories {missing} are missing")
        named = {label.parent for label in self.labels.values()} - {None}
        named |= {member for members in self.groups.values() for member in members}
        unknown = sorted(str(name) for name in named if name not in self.labels)
        if unknown:
            raise ValueError(f"parents and groups name unknown labels {unknown}")
        for name, label in self.labels.items():
            if "default" not in label.action:
                raise ValueError(f"{name}: action needs a default")
            if odd := sorted(label.action.keys() - known_regions() - {"default"}):
                raise ValueError(f"{name}: action names unknown regions {odd}")
            if label.parent and self.labels[label.parent].parent:
                raise ValueError(f"{name}: its parent {label.parent} has a parent itself")
        return self

    def members(self, name: str) -> tuple[str, ...]:
        """Labels that a label or group stands for.

        Raises:
            KeyError: neither a label nor a group is called so.
        """
        if name in self.groups:
            return self.groups[name]
        if name not in self.labels:
            raise KeyError(f"no label or group {name!r}; known: {[*self.labels, *self.groups]}")
        return (name,)


def load_labels(path: Path = PATH) -> Labels:
    """Read the labels; no environment variable changes them."""
    return load(path, Labels, environ={})
