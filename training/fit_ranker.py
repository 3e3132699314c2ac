"""Fitting the ranker: from arrays to a torch module, with no file and no configuration file."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from configs.ranking import NetworkSection, RankerFitSection
from models.arrays import Mask, Rows, Vectors
from models.ranker import RankerNetwork, RankerShape

WATCH_LIMIT = 3.0  # a video that loops for an hour says no more than one seen three times
WARM_UP = 0.1  # share of the steps
BATCH = 8_192


@dataclass(frozen=True)
class RankerData:
    """E impressions as a network reads them.

    Attributes:
        user: [E, U]. cross: [E, C]. items: [N, I]. item_rows: [E] into `items`.
        labels: [E, P] 0 or 1. watch_ratio: [E], negative where not known.
    """

    user: Vectors
    cross: Vectors
    items: Vectors
    item_rows: Rows
    labels: Vectors
    watch_ratio: Vectors

    def __len__(self) -> int:
        return len(self.user)

    def take(self, chosen: Mask | Rows) -> "RankerData":
        """The chosen impressions."""
        return RankerData(
            self.user[chosen],
            self.cross[chosen],
            self.items,
            self.item_rows[chosen],
            self.labels[chosen],
            self.watch_ratio[chosen],
        )

    def blocks(self, which: Rows | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of user, item and pair of some impressions [...]: [..., F] each."""
        index = np.asarray(which)
        return (
            torch.from_numpy(self.user[index]),
            torch.from_numpy(self.items[self.item_rows[index]]),
            torch.from_numpy(self.cross[index]),
        )


def fit_ranker(
    data: RankerData,
    network: NetworkSection,
    section: RankerFitSection,
    seed: int,
    after_epoch: Callable[[int, RankerNetwork], None] | None = None,
) -> RankerNetwork:
    """Fit all seeds at once, each in an order of its own.

    Args:
        data: to learn from.
        network: shape. section: settings.
        seed: of initialisation and order.
        after_epoch: called with the number of finished epochs.

    Returns:
        The network in evaluation mode.
    """
    torch.manual_seed(seed)
    ranker = new_network(data, network)
    optimiser = torch.optim.AdamW(
        ranker.parameters(),
        lr=section.learning_rate,
        weight_decay=section.weight_decay,
        betas=(0.9, 0.98),
    )
    batches = max(len(data) // section.batch_size, 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        section.learning_rate,
        total_steps=section.epochs * batches + 1,
        pct_start=WARM_UP,
    )
    labels, ratio = torch.from_numpy(data.labels), torch.from_numpy(clipped(data.watch_ratio))
    with tqdm(total=section.epochs * batches, desc="fit", unit="step") as progress:
        for epoch in range(section.epochs):
            ranker.train()
            for which in shuffled(len(data), ranker.shape.seeds, batches):
                said = ranker(*data.blocks(which))
                loss = ranking_loss(said, labels[which], ratio[which], section.watch_weight)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                progress.update()
            ranker.eval()
            if after_epoch is not None:
                after_epoch(epoch + 1, ranker)
    return ranker


def new_network(data: RankerData, section: NetworkSection) -> RankerNetwork:
    """An untrained network that standardises like the data and starts at their rates."""
    shape = RankerShape(
        user=data.user.shape[1],
        item=data.items.shape[1],
        cross=data.cross.shape[1],
        tasks=data.labels.shape[1],
        seeds=section.seeds,
        hidden=section.hidden,
        width=section.width,
    )
    network = RankerNetwork(shape, section.dropout)
    network.user.standardise(torch.from_numpy(data.user))
    network.item.standardise(torch.from_numpy(data.items[data.item_rows]))
    network.cross.standardise(torch.from_numpy(data.cross))
    rates = torch.from_numpy(data.labels).mean(0).clamp(1e-5, 1 - 1e-5)
    known = data.watch_ratio >= 0
    with torch.no_grad():
        network.bias[..., shape.hidden : -1] = torch.logit(rates)
        network.bias[..., -1] = float(clipped(data.watch_ratio)[known].mean()) if known.any() else 0
    return network


def clipped(watch_ratio: Vectors) -> Vectors:
    """Watch ratios of at most ``WATCH_LIMIT``."""
    return np.minimum(watch_ratio, np.float32(WATCH_LIMIT))


def shuffled(count: int, seeds: int, batches: int) -> list[Tensor]:
    """Batches [S, B] of one epoch: every seed sees the impressions in an order of its own."""
    orders = torch.stack([torch.randperm(count) for _ in range(seeds)])
    size = count // batches
    return list(torch.split(orders[:, : size * batches], size, dim=1))


def ranking_loss(said: Tensor, labels: Tensor, ratio: Tensor, watch_weight: float) -> Tensor:
    """Cross-entropy of the tasks and squared error of the known watch ratios, summed over seeds.

    Args:
        said: [S, B, P + 1]. labels: [S, B, P]. ratio: [S, B], negative where not known.
        watch_weight: of the squared error.
    """
    tasks = functional.binary_cross_entropy_with_logits(said[..., :-1], labels, reduction="none")
    watch = (said[..., -1] - ratio) ** 2 * (ratio >= 0)
    return tasks.mean(1).sum() + watch_weight * watch.mean(1).sum()


@torch.no_grad()
def logits(network: RankerNetwork, data: RankerData) -> Vectors:
    """[E, P + 1] mean over the seeds of logits and raw watch ratio."""
    parts = torch.split(torch.arange(len(data)), BATCH)
    return np.concatenate([network(*data.blocks(part)).mean(0).numpy() for part in parts])
