"""Publish a trained bundle: copy it beside the others and make it the current one.

``python -m training.publish --bundle BUNDLE [--bundles var/bundles]``

The way back is the same command with the older bundle: a version that is already there is only
made current again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from embeddings.feed_model import KIND, load_feed_model
from models.bundle import BundleError, publish
from training.report import print_report


def main(arguments: Sequence[str] | None = None) -> None:
    """Verify, copy, switch, report."""
    line = argparse.ArgumentParser(prog="training.publish", description=__doc__)
    line.add_argument("--bundle", type=Path, required=True)
    line.add_argument("--bundles", type=Path, default=Path("var/bundles"))
    options = line.parse_args(arguments)
    try:
        version = load_feed_model(options.bundle).version  # its golden queries must pass first
        folder = publish(options.bundle, options.bundles, KIND)
    except BundleError as error:
        raise SystemExit(f"not published: {error}") from error
    print_report("publish", figures={"version": version, "folder": str(folder)})


if __name__ == "__main__":
    main()
