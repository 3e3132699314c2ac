"""The image encoder as exported: the published weights, the same numbers, any picture."""

from pathlib import Path

import numpy as np
import pytest

from embeddings.image import DIMENSIONS, GRAPH, NSFW_GRAPH, SEEN, ImageEncoder, load_image_encoder
from models.bundle import BundleError
from tests.drawn_pictures import scene
from tests.picture_bundles import encoder_folder


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return load_image_encoder(encoder_folder())


def test_pictures_of_all_sizes_become_vectors_and_batches_change_nothing(
    encoder: ImageEncoder,
) -> None:
    pictures = [scene(seed, side) for seed, side in ((1, 90), (2, 320), (3, 700))]
    pictures.append(scene(4)[:1])
    together = encoder.encode(pictures)
    assert together.shape == (4, DIMENSIONS)
    assert np.allclose(together, np.concatenate([encoder.encode([p]) for p in pictures]), atol=1e-4)
    assert encoder.encode([]).shape == (0, DIMENSIONS)


def test_a_copy_is_nearer_than_another_picture_and_nothing_drawn_is_explicit(
    encoder: ImageEncoder,
) -> None:
    vectors = encoder.encode([scene(1), np.ascontiguousarray(scene(1)[:, ::-1]), scene(2)])
    seen = vectors[:, :SEEN] / np.linalg.norm(vectors[:, :SEEN], axis=1, keepdims=True)
    assert seen[0] @ seen[1] > seen[0] @ seen[2] + 0.1
    assert (vectors[:, SEEN] < 0.5).all()


def test_a_graph_of_another_signature_is_refused(tmp_path: Path) -> None:
    for name in (GRAPH, NSFW_GRAPH):
        (tmp_path / name).symlink_to(encoder_folder() / NSFW_GRAPH)
    with pytest.raises(BundleError, match=GRAPH):
        load_image_encoder(tmp_path)
