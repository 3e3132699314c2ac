"""Schema of ``configs/policies/*.yaml``: what follows from a score."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from configs.labels import Action, Labels
from configs.load import ConfigError, load
from configs.schema import Section


class Thresholds(Section):
    """Of one label: below `pass_below` it passes, from `block_from` it is blocked."""

    pass_below: float = Field(ge=0, le=1)
    block_from: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.pass_below > self.block_from:
            raise ValueError(f"pass_below {self.pass_below} lies above block_from")
        return self

    def zone(self, score: float) -> Action:
        """What a score would lead to if it were certified."""
        if score < self.pass_below:
            return "pass"
        return "block" if score >= self.block_from else "review"


Status = Literal["visible", "limited", "pending", "hidden"]


class Statuses(Section):
    """What the viewers of an item get after its check, by what the check suggests.

    Attributes:
        uncertified: nothing was found, but no certificate covers the pass.
    """

    passed: Status
    blocked: Status
    review: Status
    uncertified: Status


class AuditShare(Section):
    """Shares of decisions that people audit; a block is rare, so it needs a larger one."""

    passes: float = Field(ge=0, le=1)
    blocks: float = Field(ge=0, le=1)


class CodeRule(Section):
    """What a QR code in a picture means."""

    label: str
    action: Action
    statute: str


class Policy(Section):
    """Thresholds, and what becomes of decisions that no certificate covers.

    Attributes:
        region: of requests that name none.
        uncertified_pass: what becomes of an item in which nothing was found.
        uncertified_block: what becomes of a block by score alone.
        qr_code: what a QR code in a picture means.
        audit_share: of the machine's decisions, drawn at random for people to answer.
        statuses: of items of the catalogue.
        thresholds: by label, one for each that the model scores.
    """

    policy: str = Field(pattern=r"^[a-z0-9-]+$")
    version: int = Field(ge=1)
    region: str = Field(pattern=r"^[A-Z]{2}$")
    uncertified_pass: Action
    uncertified_block: Action
    qr_code: CodeRule
    audit_share: AuditShare
    statuses: Statuses
    thresholds: dict[str, Thresholds]

    @property
    def name(self) -> str:
        """Name and version, as verdicts and certificates give them."""
        return f"{self.policy}@{self.version}"


def load_policy(path: Path, labels: Labels, scored: tuple[str, ...]) -> Policy:
    """Read a policy.

    Args:
        path: of the YAML.
        labels: all that there are.
        scored: those that the model scores.

    Raises:
        ConfigError: it cannot be read, names an unknown label, or lacks a scored one.
    """
    policy = load(path, Policy, environ={})
    if unknown := sorted({*policy.thresholds, policy.qr_code.label} - labels.labels.keys()):
        raise ConfigError(f"{path}: thresholds name unknown labels {unknown}")
    if lacking := sorted(set(scored) - policy.thresholds.keys()):
        raise ConfigError(f"{path}: thresholds lack {lacking}, which the model scores")
    return policy
