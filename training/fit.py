"""Fitting the two towers: from a log to torch modules, with no file and no configuration file."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from configs.schema import FitSection, LinearSection, TowersSection, TwoTowerConfig
from models.features import ItemFeatures
from models.losses import (
    FULL_SOFTMAX_ITEMS,
    Candidates,
    all_candidates,
    block,
    sampled_candidates,
    softmax_loss,
)
from models.towers import GROUPS, ItemTower, LinearFactors, UserTower
from training.examples import Draw, Examples, draw_completion, draw_next, examples
from training.linear import factors, history_weights, item_item_matrix, with_single_items
from training.log import Log, select
from training.metrics import Floats

WARM_UP_STEPS = 30
BIAS_DECAY, REST_DECAY = 1.0, 0.01
HISTORY_PRIOR = 0.3  # how much a positive of the histories counts in the prior, beside the log's


@dataclass(frozen=True)
class Towers:
    """Both towers and the content they were fitted on, in row order."""

    user: UserTower
    item: ItemTower
    features: ItemFeatures


class OtherPopularity(nn.Module):
    """Popularity of the second task: what is met at all, whether liked or not."""

    prior: Tensor

    def __init__(self, prior: Tensor) -> None:
        super().__init__()
        self.register_buffer("prior", prior)
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(len(prior)))

    def forward(self, rows: Tensor) -> Tensor:
        """[C, 2] prior and bias of the given rows."""
        prior = self.prior[rows]
        return torch.stack([prior, self.scale * prior + self.bias[rows]], 1)


def log_prior(counts: Floats) -> Tensor:
    """[N] log share of each item."""
    return torch.from_numpy(np.log(counts / counts.sum())).float()


def future_prior(log: Log) -> Tensor:
    """[N] log popularity among positives: the log's own, backed off to the histories'."""

    def counts(part: Log) -> Floats:
        return np.bincount(part.item_rows, minlength=part.item_count).astype(np.float64)

    recent = counts(select(log, log.positive & log.logged))
    past = counts(select(log, log.positive & ~log.logged))
    scaled = past * recent.sum() / past.sum() if past.sum() else past
    return log_prior(recent + HISTORY_PRIOR * (scaled + 1))


def met_prior(log: Log) -> Tensor:
    """[N] log popularity among all events."""
    return log_prior(np.bincount(log.item_rows, minlength=log.item_count).astype(np.float64) + 0.5)


def linear_factors(log: Log, section: LinearSection, seed: int) -> LinearFactors:
    """Factors of the configured item-item model; none, or [N, r]."""
    if section.kind == "none":
        nothing = torch.zeros(log.item_count, 0)
        return LinearFactors(nothing, nothing)
    positives = select(log, log.positive)
    history, retrieval = factors(
        item_item_matrix(log, section.kind, section.l2),
        with_single_items(history_weights(log, section.decay), section.identity),
        np.bincount(positives.item_rows, minlength=log.item_count).astype(np.float32),
        min(section.dimensions, log.item_count),
        popularity_power=section.popularity_power,
        seed=seed,
    )
    return LinearFactors(torch.from_numpy(history), torch.from_numpy(retrieval))


def new_towers(log: Log, features: ItemFeatures, config: TwoTowerConfig, seed: int) -> Towers:
    """Untrained towers for the items of a log."""
    torch.manual_seed(seed)
    shape = config.towers
    linear = linear_factors(log, config.linear, seed)
    cosine = shape.temperature is not None
    item = ItemTower(shape.dimensions, future_prior(log), linear, cosine=cosine)
    user = UserTower(
        shape.dimensions,
        linear.history.shape[1],
        linear_decay=config.linear.decay,
        temperature=shape.temperature,
        dropout=shape.dropout,
    )
    return Towers(user, item, features)


def fit(
    log: Log,
    features: ItemFeatures,
    config: TwoTowerConfig,
    seed: int,
    *,
    epochs: int,
    after_epoch: Callable[[int, Towers], None] | None = None,
) -> Towers:
    """Fit towers on a log for the first `epochs` of the configured schedule.

    Args:
        log: to learn from.
        features: content of the N items of the log; a row of ``log`` is a row here.
        config: shapes and settings.
        seed: of initialisation and order.
        epochs: how many to run, at most ``config.fit.epochs``.
        after_epoch: called with the number of finished epochs.

    Returns:
        Towers in evaluation mode.
    """
    towers = new_towers(log, features, config, seed)
    users = examples(log, config.towers.history_length)
    stepper = Stepper(towers, log, users, config.towers, config.fit, seed)
    with tqdm(total=epochs * stepper.steps_per_epoch, desc="fit", unit="step") as progress:
        for epoch in range(epochs):
            for batch in stepper.shuffled():
                loss = stepper.step(users.take(batch))
                progress.set_postfix(epoch=epoch + 1, loss=f"{loss:.3f}", refresh=False)
                progress.update()
            if after_epoch is not None:
                after_epoch(epoch + 1, evaluating(towers))
    return evaluating(towers)


def evaluating(towers: Towers) -> Towers:
    """The towers with dropout off."""
    towers.user.eval()
    towers.item.eval()
    return towers


class Stepper:
    """One optimiser over both towers; `step` is all it does."""

    def __init__(
        self,
        towers: Towers,
        log: Log,
        users: Examples,
        shape: TowersSection,
        section: FitSection,
        seed: int,
    ) -> None:
        self.towers, self.section = towers, section
        self.id_dropout = shape.id_dropout
        self.generator = torch.Generator().manual_seed(seed)
        self.other = OtherPopularity(met_prior(log))
        self.user_count, self.item_count = len(users), log.item_count
        self.steps_per_epoch = math.ceil(len(users) / section.batch_size)
        self.frequency = torch.exp(met_prior(log))
        used = int((towers.features.tokens > 0).any(0).sum())
        self.tokens = torch.from_numpy(towers.features.tokens[:, : max(used, 1)])
        self.numeric = torch.from_numpy(towers.features.numeric)
        self.optimiser = new_optimiser(towers, self.other, section)
        total = section.epochs * self.steps_per_epoch
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser,
            lambda step: (
                min(1.0, (step + 1) / WARM_UP_STEPS)
                * (0.51 + 0.5 * math.cos(math.pi * min(step, total) / total))
            ),
        )

    def shuffled(self) -> list[Tensor]:
        """User rows of each batch of one epoch."""
        order = torch.randperm(self.user_count, generator=self.generator)
        return list(torch.split(order, self.section.batch_size))

    def draw(self, batch: Examples) -> Draw:
        """What is read and predicted of each user."""
        if self.section.objective == "next":
            return draw_next(batch, self.section.window, self.generator)
        return draw_completion(batch, self.section.read_share, self.generator)

    def candidates(self, targets: Tensor) -> Candidates:
        """The items that this step scores."""
        if self.item_count <= FULL_SOFTMAX_ITEMS:
            return all_candidates(self.item_count)
        uniform = self.section.uniform_negatives
        return sampled_candidates(targets, self.frequency, uniform, self.generator)

    def step(self, batch: Examples) -> float:
        """Take one gradient step and return its loss."""
        self.towers.user.train()
        self.towers.item.train()
        loss = self.loss(batch, self.draw(batch))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    def loss(self, batch: Examples, draw: Draw) -> Tensor:
        """Positives to come under their popularity, all else held out under its own."""
        read_rows = torch.where(draw.read, batch.rows, -1)
        predicted = (draw.future + draw.other) > 0
        candidates = self.candidates(batch.rows[predicted])
        interests, retrieval, popularity = self.embed(batch, draw.read, candidates)
        columns = candidates.position[batch.rows.clamp(min=0)]
        other = self.other(candidates.rows)
        loss = torch.zeros(())
        for vectors, weights in (
            (torch.cat([retrieval, popularity], 1), draw.future),
            (torch.cat([retrieval, other], 1), self.section.other_weight * draw.other),
        ):
            if weights.any():
                scores = interests @ vectors.T - candidates.log_q
                loss = loss + softmax_loss(block(scores, read_rows, candidates), columns, weights)
        return loss

    def embed(
        self, batch: Examples, read: Tensor, candidates: Candidates
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Interests [B, d + 2], and retrieval [C, d] and popularity [C, 2] of the candidates."""
        rows, of_candidates, position = needed_rows(batch.rows[read], candidates)
        dropped = torch.rand(len(rows), generator=self.generator) < self.id_dropout
        history, retrieval, popularity = self.towers.item.learned(
            torch.where(dropped, 0, rows + 1), self.tokens[rows], self.numeric[rows]
        )
        seen = position[batch.rows.clamp(min=0)].clamp(min=0)
        user = self.towers.user
        groups = functional.one_hot(user.group[batch.actions], len(GROUPS)) * read[..., None]
        ages = read_ages(batch.age_s, read)
        taste, trust = user.taste(history[seen], groups.float(), batch.watch_ratio, ages)
        interests = torch.cat([taste, trust, torch.ones_like(trust)], 1)
        return interests, retrieval[of_candidates], popularity[of_candidates]


def needed_rows(read: Tensor, candidates: Candidates) -> tuple[Tensor, Tensor, Tensor]:
    """Rows to embed, where the candidates stand among them, and the place of every row or -1."""
    count = len(candidates.position)
    if len(candidates.rows) == count:
        return candidates.rows, candidates.rows, candidates.position
    rows = torch.unique(torch.cat([candidates.rows, read]))
    position = torch.full((count,), -1)
    position[rows] = torch.arange(len(rows))
    return rows, position[candidates.rows], position


def read_ages(age_s: Tensor, read: Tensor) -> Tensor:
    """[B, T] ages counted from the newest event that is read, as the served history has them."""
    newest = torch.where(read, age_s, torch.inf).min(1, keepdim=True).values
    return torch.where(read, age_s - newest, 0.0)


def new_optimiser(
    towers: Towers, other: OtherPopularity, section: FitSection
) -> torch.optim.Optimizer:
    """AdamW whose weight decay is strong on embeddings and biases and weak on the rest."""
    embeddings = [towers.item.identity.weight, towers.item.tokens.weight]
    biases = [towers.item.bias.weight, other.bias]
    special = {id(parameter) for parameter in (*embeddings, *biases)}
    rest = [
        parameter
        for module in (towers.item, towers.user, other)
        for parameter in module.parameters()
        if id(parameter) not in special
    ]
    groups = [
        {"params": embeddings, "weight_decay": section.weight_decay},
        {"params": biases, "weight_decay": BIAS_DECAY},
        {"params": rest, "weight_decay": REST_DECAY},
    ]
    return torch.optim.AdamW(groups, lr=section.learning_rate, betas=(0.9, 0.98))
