"""The two towers: a user is what they did, an item is its content and, if known, its identity.

Coordinates of a retrieval vector [D = d + r + 2]: learned ones (d), linear item-item factors (r),
the item's popularity prior and its bias. The user tower answers with a vector of the same
coordinates, so that one inner product holds taste, item-item evidence and popularity.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.features import ACTION_CODES, ACTIONS, NUMERIC_FEATURES, TOKEN_BUCKETS

GROUPS = {
    "shown": ("impression", "play", "skip", "unlike", "unfollow", "refund", "report"),
    "liked": ("long_view", "complete", "rating", "click_product"),
    "loved": ("like", "comment", "share", "follow", "add_cart", "purchase"),
    "disliked": ("not_interested",),
}
LIKED, LOVED = 1, 2
RANK_BUCKETS = 8
AGE_BUCKETS = 12
RATIO_BUCKETS = 6
RESIDUAL_DROPOUT = 0.1


def group_of_action() -> Tensor:
    """[len(ACTIONS)] index into ``GROUPS`` of each action code; padding counts as the first."""
    groups = torch.zeros(len(ACTIONS), dtype=torch.long)
    for index, names in enumerate(GROUPS.values()):
        for name in names:
            groups[ACTION_CODES[name]] = index
    return groups


@dataclass(frozen=True)
class LinearFactors:
    """A low-rank item-item model: the score of j after i is ``history[i] @ retrieval[j]``.

    Attributes:
        history, retrieval: [N, r].
    """

    history: Tensor
    retrieval: Tensor


class ItemTower(nn.Module):
    """Items to history vectors [N, H = d + r] and retrieval vectors [N, D = d + r + 2].

    An item of row 0 is unknown: content stands for its identity and predicts its popularity.
    """

    prior: Tensor
    linear_history: Tensor
    linear_retrieval: Tensor

    def __init__(
        self,
        dimensions: int,
        prior: Tensor,
        linear: LinearFactors,
        *,
        id_scale: float = 0.05,
        cosine: bool = False,
    ) -> None:
        """Create a tower for N known items.

        Args:
            dimensions: d, the learned coordinates.
            prior: [N] log popularity of the known items.
            linear: [N, r] factors; r may be 0.
            id_scale: standard deviation of the id embeddings at the start.
            cosine: give the learned coordinates unit length.
        """
        super().__init__()
        count = len(prior)
        self.identity = nn.Embedding(count + 1, dimensions)
        self.tokens = nn.Embedding(TOKEN_BUCKETS, dimensions, padding_idx=0)
        self.numeric = nn.Linear(len(NUMERIC_FEATURES), dimensions, bias=False)
        self.to_retrieval = nn.Linear(dimensions, dimensions, bias=False)
        self.content_prior = nn.Linear(dimensions, 1)
        self.bias = nn.Embedding(count + 1, 1)
        self.prior_scale = nn.Parameter(torch.ones(1))
        self.cosine = cosine
        unknown = torch.zeros(1, linear.history.shape[1])
        self.register_buffer("prior", torch.cat([prior.mean()[None], prior]))
        self.register_buffer("linear_history", torch.cat([unknown, linear.history]))
        self.register_buffer("linear_retrieval", torch.cat([unknown, linear.retrieval]))
        self._initialise(id_scale)

    def _initialise(self, id_scale: float) -> None:
        nn.init.normal_(self.identity.weight, std=id_scale)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.numeric.weight, std=0.01)
        nn.init.eye_(self.to_retrieval.weight)
        nn.init.zeros_(self.content_prior.weight)
        nn.init.constant_(self.content_prior.bias, float(self.prior[0]))
        nn.init.zeros_(self.bias.weight)
        with torch.no_grad():
            self.tokens.weight[0] = 0

    def forward(self, item_rows: Tensor, tokens: Tensor, numeric: Tensor) -> tuple[Tensor, Tensor]:
        """Embed items.

        Args:
            item_rows: [N] row + 1, or 0 for an unknown item.
            tokens: [N, F] hashed content. numeric: [N, Q].

        Returns:
            History vectors [N, H] and retrieval vectors [N, D].
        """
        history, retrieval, popularity = self.learned(item_rows, tokens, numeric)
        return (
            torch.cat([history, self.linear_history[item_rows]], 1),
            torch.cat([retrieval, self.linear_retrieval[item_rows], popularity], 1),
        )

    def learned(
        self, item_rows: Tensor, tokens: Tensor, numeric: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What training changes: history [N, d], retrieval [N, d] and popularity [N, 2]."""
        content = self.content(tokens, numeric)
        history = self.identity(item_rows) + content
        retrieval = self.to_retrieval(history)
        if self.cosine:
            retrieval = functional.normalize(retrieval, dim=1)
        return history, retrieval, self.popularity(item_rows, content)

    def content(self, tokens: Tensor, numeric: Tensor) -> Tensor:
        """[N, d] sum of the content features, tempered by their number."""
        present = (tokens > 0).sum(1, keepdim=True).clamp(min=1)
        summed: Tensor = self.tokens(tokens).sum(1) / present.sqrt() + self.numeric(numeric)
        return summed

    def popularity(self, item_rows: Tensor, content: Tensor) -> Tensor:
        """[N, 2] prior and bias; for unknown items both are what the content foretells."""
        unknown = (item_rows == 0)[:, None]
        foretold = self.content_prior(content)
        prior = torch.where(unknown, foretold, self.prior[item_rows][:, None])
        known_bias = self.prior_scale * self.prior[item_rows][:, None] + self.bias(item_rows)
        return torch.cat([prior, torch.where(unknown, foretold, known_bias)], 1)


class UserTower(nn.Module):
    """Histories, newest first, to interest vectors [B, M = 1, D].

    Events are summed in bags, one a group of actions, with learned weights for recency rank, age
    and watch ratio; the bags are mixed linearly and by a small residual network, which also says
    how much this user follows popularity.
    """

    group: Tensor
    linear_gain: Tensor

    def __init__(
        self,
        dimensions: int,
        linear_dimensions: int,
        *,
        linear_decay: float = 0.0,
        temperature: float | None = None,
        dropout: float = 0.1,
    ) -> None:
        """Create a tower.

        Args:
            dimensions: d. linear_dimensions: r.
            linear_decay: the n-th newest positive weighs ``(n + 1) ** -linear_decay`` there.
            temperature: divides the unit-length learned part; None leaves it unnormalised.
            dropout: of the learned part while training.
        """
        super().__init__()
        groups = len(GROUPS)
        self.dimensions, self.linear_dimensions = dimensions, linear_dimensions
        self.linear_decay, self.temperature = linear_decay, temperature
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("group", group_of_action())
        self.register_buffer("linear_gain", torch.ones(1))
        self.rank_weight = nn.Parameter(torch.zeros(groups, RANK_BUCKETS))
        self.age_weight = nn.Parameter(torch.zeros(groups, AGE_BUCKETS))
        self.ratio_weight = nn.Parameter(torch.zeros(groups, RATIO_BUCKETS))
        self.mix = nn.Parameter(mixing_start(dimensions))
        hidden, width = 2 * dimensions, groups * dimensions + groups + 1
        self.residual = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(RESIDUAL_DROPOUT),
            nn.Linear(hidden, dimensions + 1),
        )
        nn.init.zeros_(self.residual[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.residual[-1].bias)  # type: ignore[arg-type]

    def forward(
        self,
        history_vectors: Tensor,
        actions: Tensor,
        watch_ratio: Tensor,
        age_s: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """Encode histories.

        Args:
            history_vectors: [B, T, H], zero where padded. actions: [B, T] codes.
            watch_ratio: [B, T], -1 unknown. age_s: [B, T] seconds. mask: [B, T], true = event.

        Returns:
            [B, 1, D].
        """
        groups = functional.one_hot(self.group[actions], len(GROUPS)) * mask[..., None]
        groups = groups.to(history_vectors.dtype)
        learned, popularity = self.taste(
            history_vectors[..., : self.dimensions], groups, watch_ratio, age_s
        )
        linear = self.evidence(history_vectors[..., self.dimensions :], groups)
        parts = [learned, linear, popularity, torch.ones_like(popularity)]
        return torch.cat(parts, 1)[:, None, :]

    def taste(
        self, vectors: Tensor, groups: Tensor, watch_ratio: Tensor, age_s: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What training changes.

        Args:
            vectors: [B, T, d]. groups: [B, T, G] one-hot, zero where padded.
            watch_ratio: [B, T]. age_s: [B, T].

        Returns:
            The learned part [B, d] and how much popularity counts for the user [B, 1].
        """
        rank = groups.sum(-1).cumsum(1) - 1
        weight = groups * torch.exp(
            self.rank_weight.T[rank_bucket(rank)]
            + self.age_weight.T[age_bucket(age_s)]
            + self.ratio_weight.T[ratio_bucket(watch_ratio)]
        )
        count = groups.sum(1)
        bags = torch.einsum("btg,btd->bgd", weight, vectors) / (count[..., None] + 1).sqrt()
        sizes = torch.log1p(torch.cat([count, count.sum(1, keepdim=True)], 1))
        residual = self.residual(torch.cat([bags.flatten(1), sizes], 1))
        mixed = torch.einsum("bgd,gde->be", bags, self.mix) + residual[:, :-1]
        if self.temperature is not None:
            mixed = functional.normalize(mixed, dim=1) / self.temperature
        return self.dropout(mixed), residual[:, -1:]

    def evidence(self, factors: Tensor, groups: Tensor) -> Tensor:
        """Linear part [B, r]: the positives' factors, by recency among the positives."""
        positive = groups[..., LIKED] + groups[..., LOVED]
        rank = (positive.cumsum(1) - 1).clamp(min=0)
        weight = positive * (rank + 1) ** -self.linear_decay
        return self.linear_gain * torch.einsum("bt,btr->br", weight, factors)


def mixing_start(dimensions: int, noise: float = 0.02) -> Tensor:
    """[G, d, d] near the identity: what was liked counts fully, what was shown half."""
    share = {"shown": 0.5, "liked": 1.0, "loved": 1.0, "disliked": -0.5}
    eye = torch.eye(dimensions)
    start = torch.stack([share[name] * eye for name in GROUPS])
    return start + noise * torch.randn_like(start)


def rank_bucket(rank: Tensor) -> Tensor:
    """Powers of two: 0, 1-2, 3-6, 7-14 …; the last bucket is open."""
    return torch.log2(rank.clamp(min=0) + 1).long().clamp(max=RANK_BUCKETS - 1)


def age_bucket(age_s: Tensor) -> Tensor:
    """Powers of four from one minute to about two years; the last bucket is open."""
    minutes = age_s.clamp(min=0) / 60 + 1
    return (torch.log2(minutes) / 2).long().clamp(max=AGE_BUCKETS - 1)


def ratio_bucket(watch_ratio: Tensor) -> Tensor:
    """0 unknown; then below a tenth, a half, nine tenths, one and a half, and above."""
    edges = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.5], device=watch_ratio.device)
    return (watch_ratio[..., None] >= edges).sum(-1)
