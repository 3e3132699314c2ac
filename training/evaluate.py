"""Judge a bundle on held-out behaviour, beside baselines fitted and chosen on the same split.

``python -m training.evaluate retrieval --bundle BUNDLE... --dataset kuairand --data PATH
--protocol unseen-users [--fit-data PATH]``

``python -m training.evaluate moderation --bundle BUNDLE --data FILE --label LABEL_OR_GROUP`` judges
a moderation bundle (``training.moderation_evaluation``), ``pictures`` the head that looks at
pictures (``training.picture_evaluation``), ``python -m training.evaluate ranker --bundle BUNDLE
--data PATH`` the ranker of a feed bundle (``training.ranker_evaluation``).

Several bundles are seeds of one recipe: their rows are averaged. The two-tower model is scored
through its exported ONNX towers and its index, as it is served.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from embeddings.feed_model import FeedModel, load_feed_model
from models.arrays import Mask, Rows
from training import moderation_evaluation, picture_evaluation, ranker_evaluation
from training.bars import RETRIEVAL_BARS
from training.choose import Chosen, choose_and_score
from training.cold import content_popularity_ranking, two_tower_cold_ranking
from training.datasets.interactions import Interactions
from training.datasets.load import DATASETS, load_dataset
from training.log import Log, encode
from training.metrics import bootstrap_ratio
from training.protocols import PROTOCOLS, Cases, Split, history_cases, unseen_users
from training.ranking import METRICS, Ranking, by_activity, by_item_age, summary
from training.report import print_report
from training.two_tower_ranking import rank_two_tower

JUDGING = {
    "moderation": moderation_evaluation,
    "ranker": ranker_evaluation,
    "pictures": picture_evaluation,
}


@dataclass(frozen=True)
class Outcome:
    """One split scored by everything.

    Attributes:
        cases: what was scored. two_tower: its ranking.
        others: per baseline, its value of each metric and of each user.
        age_thirds: [N], see `by_item_age`.
    """

    cases: Cases
    two_tower: Ranking
    others: Mapping[str, Chosen]
    age_thirds: Rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, evaluate, print one JSON object."""
    options = parser().parse_args(arguments)
    options.run(options)


def evaluate_retrieval(options: argparse.Namespace) -> None:
    """Score each bundle and the baselines, and print one table."""
    outcomes: list[Outcome] = []
    for bundle in options.bundle:
        outcomes.append(outcome_of(options, Path(bundle), outcomes))
    rows, figures = report_rows(outcomes), comparisons(outcomes)
    bars = RETRIEVAL_BARS.get((options.dataset, options.protocol))
    if options.out:
        Path(options.out).write_text(json.dumps({"rows": rows, "figures": figures}, indent=1))
    print_report(
        "retrieval",
        rows=rows,
        figures=figures | {"users": len(outcomes[0].cases), "bundles": len(outcomes)},
        bars=bars(rows, figures) if bars else None,
        seed=[load_feed_model(Path(bundle)).manifest.seed for bundle in options.bundle],
    )


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="training.evaluate", description=__doc__)
    commands = top.add_subparsers(required=True)
    for name, judging in JUDGING.items():
        command = commands.add_parser(name)
        judging.add_arguments(command)
        command.set_defaults(run=judging.main)
    retrieval = commands.add_parser("retrieval")
    retrieval.set_defaults(run=evaluate_retrieval)
    retrieval.add_argument("--bundle", required=True, nargs="+", help="one, or seeds of one recipe")
    retrieval.add_argument("--dataset", required=True, choices=DATASETS)
    retrieval.add_argument("--data", type=Path, help="folder whose users are scored")
    retrieval.add_argument("--fit-data", type=Path, help="folder that the baselines learn from")
    retrieval.add_argument("--protocol", required=True, choices=sorted(PROTOCOLS))
    retrieval.add_argument("--out", help="also write the table to this file")
    return top


def outcome_of(options: argparse.Namespace, folder: Path, earlier: Sequence[Outcome]) -> Outcome:
    """Score one bundle and the baselines, which `earlier` outcomes of the same split spare.

    Raises:
        SystemExit: the bundle was trained under another protocol, so that it may have seen what
            is to be predicted.
    """
    model = load_feed_model(folder)
    seed = model.manifest.seed
    data = load_dataset(options.dataset, options.data, seed)
    if options.fit_data is not None:
        fit = load_dataset(options.dataset, options.fit_data, seed)
        return unseen_outcome(model, fit, data, seed, earlier)
    trained = model.manifest.data.protocol
    if trained != options.protocol:
        raise SystemExit(
            f"{folder}: trained with --protocol {trained}, so it may know what {options.protocol} "
            "asks for; train with that protocol, or give --fit-data and other users in --data"
        )
    log, user_ids, item_ids = encoded(data)
    split = PROTOCOLS[options.protocol](log, user_ids, item_ids, seed)
    if split.cold is not None:
        return cold_outcome(model, data, split, split.cold)
    return warm_outcome(model, data, split, earlier)


def encoded(data: Interactions) -> tuple[Log, list[str], list[str]]:
    """The log with its user and item ids."""
    return encode(data), data.users["user_id"].to_pylist(), data.items["item_id"].to_pylist()


def warm_outcome(
    model: FeedModel, data: Interactions, split: Split, earlier: Sequence[Outcome]
) -> Outcome:
    """Score the split's test cases over the whole catalogue."""
    others = same_baselines(earlier, split.test) or choose_and_score(
        split.train, split.valid, split.final, split.test
    )
    ranking = rank_two_tower(model, split.test, data.items["item_id"].to_pylist())
    return Outcome(split.test, ranking, others, thirds(item_times(data, split.final)))


def same_baselines(earlier: Sequence[Outcome], cases: Cases) -> Mapping[str, Chosen] | None:
    """Baselines of an earlier outcome with the same cases: not every split follows the seed."""
    for outcome in earlier:
        if np.array_equal(outcome.cases.users, cases.users) and np.array_equal(
            outcome.cases.targets.values, cases.targets.values
        ):
            return outcome.others
    return None


def unseen_outcome(
    model: FeedModel,
    fit: Interactions,
    data: Interactions,
    seed: int,
    earlier: Sequence[Outcome],
) -> Outcome:
    """Score every user of `data`, whom neither model nor baselines have met.

    Raises:
        SystemExit: the two folders share users.
    """
    shared = set(fit.users["user_id"].to_pylist()) & set(data.users["user_id"].to_pylist())
    if shared:
        raise SystemExit(f"--data and --fit-data share {len(shared)} users; they must be others")
    items = pa.concat_tables([fit.items, data.items], promote_options="default")
    items = first_of_each(items)
    fit, data = replace(fit, items=items), replace(data, items=items)
    log, user_ids, item_ids = encoded(fit)
    chosen_on = unseen_users(log, user_ids, item_ids, seed)
    cases = history_cases(encode(data))
    others = same_baselines(earlier, cases) or choose_and_score(
        chosen_on.train, chosen_on.valid, log, cases
    )
    ranking = rank_two_tower(model, cases, item_ids)
    return Outcome(cases, ranking, others, thirds(item_times(fit, log)))


def first_of_each(items: pa.Table) -> pa.Table:
    """One row an item id, the first that names it."""
    _, first = np.unique(items["item_id"].to_numpy(), return_index=True)
    return items.take(np.sort(first))


def cold_outcome(model: FeedModel, data: Interactions, split: Split, cold: Mask) -> Outcome:
    """Rank the cold items alone, by content."""
    records = data.items.to_pylist()
    return Outcome(
        split.test,
        two_tower_cold_ranking(model, split.test, cold, records),
        {"popularity": content_popularity_ranking(split.final, split.test, cold, records)},
        thirds(item_times(data, split.final)),
    )


def item_times(data: Interactions, log: Log) -> Rows:
    """[N] when each item appeared: its publication, else its first event, in ms."""
    if "published_at" in data.items.column_names:
        return np.asarray(data.items["published_at"].fill_null(0)).astype(np.int64)
    first = np.full(log.item_count, np.iinfo(np.int64).max)
    np.minimum.at(first, log.item_rows, log.time_ms)
    return first


def thirds(times_ms: Rows) -> Rows:
    """[N], 0 for the newest third of items, 2 for the oldest."""
    rank = np.argsort(np.argsort(-times_ms, kind="stable"), kind="stable")
    return np.asarray(rank * 3 // max(len(rank), 1)).astype(np.int64)


def report_rows(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """One row a model, its metrics averaged over the bundles."""
    first = outcomes[0]
    item_count = len(first.age_thirds)
    rows: list[dict[str, object]] = [
        {"model": "two_tower"}
        | averaged([summary(o.two_tower, o.cases, item_count) for o in outcomes])
        | {
            "by_activity": averaged([by_activity(o.two_tower, o.cases) for o in outcomes]),
            "by_item_age": averaged(
                [by_item_age(o.two_tower, o.cases, o.age_thirds) for o in outcomes]
            ),
        }
    ]
    for name, chosen in first.others.items():
        ranking = chosen.ranking["recall@50"]
        rows.append(
            {"model": name}
            | averaged([o.others[name].row() for o in outcomes])
            | {"by_activity": by_activity(ranking, first.cases)}
            | {"by_item_age": by_item_age(ranking, first.cases, first.age_thirds)}
            | {"settings": {m: s.label() for m, s in chosen.settings.items()}}
        )
    return rows


def averaged(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each key."""
    return {key: float(np.mean([row[key] for row in rows if key in row])) for key in rows[0]}


def comparisons(outcomes: Sequence[Outcome]) -> dict[str, dict[str, list[float]]]:
    """Per baseline and metric: ratio of the means, with its paired 95 % interval over users.

    Users of several bundles are put side by side: each is compared with the baseline on the same
    split, and all of them are drawn together.
    """
    return {
        name: {
            metric: list(
                bootstrap_ratio(
                    np.concatenate([o.two_tower.per_user[metric] for o in outcomes]),
                    np.concatenate(
                        [o.others[name].ranking[metric].per_user[metric] for o in outcomes]
                    ),
                )
            )
            for metric in METRICS
        }
        for name in tqdm(outcomes[0].others, desc="intervals", unit="baseline")
    }


if __name__ == "__main__":
    main()
