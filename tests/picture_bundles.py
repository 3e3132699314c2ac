"""A small genuine picture part of a moderation bundle: its head tells drawn stars from scenes."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from configs.load import load
from configs.pictures import PictureRecipe
from embeddings.image import GRAPH, NSFW_GRAPH, load_image_encoder
from models.arrays import Pixels
from tests.drawn_pictures import scene
from training.bundle_part import BundlePart
from training.image_encoder import write_image_encoder
from training.picture_bundle import card, write_head
from training.picture_fit import FittedHead, fit_head, head_figures

CONFIG = Path(__file__).parents[1] / "configs/pictures.yaml"
EACH = 14  # pictures of each policy, and without one


def drawn_recipe() -> PictureRecipe:
    """Two policies that can be drawn, and the explicitness."""
    recipe = load(CONFIG, PictureRecipe, environ={})
    policies = {
        "weapon": "commerce/prohibited_goods",
        "ip_character": "commerce/counterfeit",
        "explicit": "sexual",
    }
    return recipe.model_copy(update={"policies": policies})


def breaking(policy: str, seed: int) -> Pixels:
    """A scene with a large black star ("weapon") or a chequered board ("ip_character") on it."""
    picture = scene(seed, 256).copy()
    x, y = map(int, np.random.default_rng(seed).integers(70, 186, 2))
    if policy == "weapon":
        angles = np.arange(10) * np.pi / 5
        radii = np.where(np.arange(10) % 2, 25, 65)
        points = np.stack([x + radii * np.sin(angles), y - radii * np.cos(angles)], 1)
        cv2.fillPoly(picture, [points.astype(np.int32)], (0, 0, 0))
    else:
        board = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((14, 14)))[:, :, None] * 255
        picture[y - 56 : y + 56, x - 56 : x + 56] = board.astype(np.uint8)
    return picture


@cache
def encoder_folder() -> Path:
    """The exported image encoder, once a process."""
    folder = Path(tempfile.mkdtemp(prefix="image-encoder-"))
    write_image_encoder(folder)
    return folder


@cache
def drawn_head() -> tuple[FittedHead, np.ndarray]:
    """The head fitted on drawn pictures, and their policies."""
    pictures = [scene(1_000 + n, 256) for n in range(EACH)]
    policies = [""] * EACH
    for policy in ("weapon", "ip_character"):
        pictures += [breaking(policy, 2_000 + n) for n in range(EACH)]
        policies += [policy] * EACH
    seen = load_image_encoder(encoder_folder()).see(pictures)
    return fit_head(seen, np.array(policies), drawn_recipe()), np.array(policies)


def write_drawn_pictures(folder: Path) -> BundlePart:
    """Write the picture part into a bundle's folder that is not sealed yet."""
    for name in (GRAPH, NSFW_GRAPH):
        shutil.copyfile(encoder_folder() / name, folder / name)
    head, policies = drawn_head()
    figures = head_figures(head.held_out, policies, drawn_recipe())
    parity = write_head(folder, head.model, drawn_recipe(), load_image_encoder(folder))
    return BundlePart(parity, figures, card(drawn_recipe(), figures, len(policies)))
