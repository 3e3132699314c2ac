"""Publish a trained bundle of either kind: copy it beside the others and make it the current one.

``python -m training.publish --bundle BUNDLE [--bundles var/bundles]``

The way back is the same command with the older bundle: a version that is already there is only
made current again.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from embeddings.feed_model import FeedModel, load_feed_model
from embeddings.text_model import TextModel, load_text_model
from models.bundle import BundleError, publish, read_manifest
from training.report import print_report

LOADERS: Mapping[str, Callable[[Path], FeedModel | TextModel]] = {
    "feed": load_feed_model,
    "moderation": load_text_model,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Verify, copy, switch, report."""
    line = argparse.ArgumentParser(prog="training.publish", description=__doc__)
    line.add_argument("--bundle", type=Path, required=True)
    line.add_argument("--bundles", type=Path, default=Path("var/bundles"))
    options = line.parse_args(arguments)
    try:
        kind = read_manifest(options.bundle).kind
        version = LOADERS[kind](options.bundle).version  # what it is known to answer must hold
        folder = publish(options.bundle, options.bundles, kind)
    except BundleError as error:
        raise SystemExit(f"not published: {error}") from error
    print_report("publish", figures={"kind": kind, "version": version, "folder": str(folder)})


if __name__ == "__main__":
    main()
