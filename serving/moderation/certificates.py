"""Certificates: which decisions of the machine have a bounded risk, and may stand by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["pass", "block"]
EVERYTHING = "*"  # the label of a pass certificate: it speaks about whole items
ANYWHERE = "*"


@dataclass(frozen=True)
class Judge:
    """What a certificate is bound to: another model or policy has to be certified anew."""

    model: str
    policy: str
    region: str


@dataclass(frozen=True)
class Certificate:
    """A bound on the error of decisions of one kind, and what it rests on.

    Attributes:
        side: "pass" (of whole items, `label` is EVERYTHING) or "block" (of one label).
        threshold: a pass is covered below this margin, a block from this score.
        risk: the largest share of wrong decisions that is allowed; `bound` is what was shown to
            hold with confidence 1 - `delta`.
        sample: audited decisions; `errors` of them were wrong.
    """

    certificate_id: str
    side: Side
    label: str
    judge: Judge
    threshold: float
    risk: float
    delta: float
    sample: int
    errors: int
    bound: float
    created_at_ms: int = 0
    revoked_at_ms: int | None = None
    revoked_because: str | None = None

    def speaks_about(self, judge: Judge) -> bool:
        """Whether it holds for decisions made so."""
        same = (self.judge.model, self.judge.policy) == (judge.model, judge.policy)
        return self.revoked_at_ms is None and same and self.judge.region in (ANYWHERE, judge.region)


class CertificateBook:
    """The certificates in force; replaced as a whole, so that no verdict sees half a change."""

    def __init__(self, certificates: Sequence[Certificate] = ()) -> None:
        self._certificates = tuple(certificates)

    def replace(self, certificates: Sequence[Certificate]) -> None:
        """Take over what the records hold now."""
        self._certificates = tuple(certificates)

    def passing(self, margin: float, judge: Judge) -> Certificate | None:
        """One that covers the pass of an item, None where none does.

        Args:
            margin: the item's largest score as a share of its label's `pass_below`.
            judge: by which it was scored.
        """
        return next(
            (one for one in self._of("pass", EVERYTHING, judge) if margin < one.threshold), None
        )

    def blocking(self, label: str, score: float, judge: Judge) -> Certificate | None:
        """One that covers the block of an item for a label, None where none does."""
        return next(
            (one for one in self._of("block", label, judge) if score >= one.threshold), None
        )

    def _of(self, side: Side, label: str, judge: Judge) -> list[Certificate]:
        certificates = self._certificates
        return [
            one
            for one in certificates
            if (one.side, one.label) == (side, label) and one.speaks_about(judge)
        ]
