"""Judge the picture head by folds on labelled pictures.

``python -m training.evaluate pictures --data ../shared/data/image-policy-dev [--encoder BUNDLE]``
"""

import argparse
import tempfile
from pathlib import Path

from configs.load import load
from configs.pictures import PictureRecipe
from embeddings.image import load_image_encoder
from models.arrays import Pixels, Vectors
from training.datasets.pictures import labelled_pictures
from training.image_encoder import write_image_encoder
from training.picture_fit import fit_head, head_bars, head_figures
from training.report import print_report

RECIPE = Path(__file__).parents[1] / "configs/pictures.yaml"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the options of ``training.evaluate pictures``."""
    command.add_argument("--data", type=Path, required=True, help="folder with images.parquet")
    command.add_argument("--config", type=Path, default=RECIPE)
    command.add_argument(
        "--encoder", type=Path, help="bundle or folder; exported anew if not given"
    )


def main(options: argparse.Namespace) -> None:
    """Fit by folds and print the figures of what each fold had not seen."""
    recipe = load(options.config, PictureRecipe)
    labelled = labelled_pictures(options.data)
    seen = encoded(labelled.pictures, options.encoder)
    head = fit_head(seen, labelled.policies, recipe)
    figures = head_figures(head.held_out, labelled.policies, recipe)
    figures |= {"pictures": len(labelled.pictures), "clusters": head.clusters}
    print_report("pictures", figures=figures, bars=head_bars(figures), seed=recipe.seed)


def encoded(pictures: tuple[Pixels, ...], encoder: Path | None) -> Vectors:
    """[N, D] vectors by the encoder of a folder, or by the published weights."""
    if encoder is not None:
        return load_image_encoder(encoder).see(pictures)
    with tempfile.TemporaryDirectory() as folder:
        write_image_encoder(Path(folder))
        return load_image_encoder(Path(folder)).see(pictures)
