"""Torch towers to ONNX, with a parity check that fails the export."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.bundle import load_session

OPSET = 20
PARITY = 1e-4  # largest difference between torch and ONNX, relative to the largest output


class ParityError(RuntimeError):
    """The exported model does not compute what the trained one does."""


def export(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    checks: Sequence[Mapping[str, Tensor]],
    dynamic: Mapping[str, Sequence[str]] | None = None,
) -> float:
    """Write `module` to ONNX with a dynamic first dimension and compare both.

    Args:
        module: in evaluation mode.
        inputs: by name, in the order of its forward; the first dimension becomes the batch.
        outputs: names of what it returns.
        path: of the ONNX file.
        checks: further inputs, of other batch sizes, to compare on.
        dynamic: names of the leading dynamic dimensions of inputs that have others than
            ``("batch",)``; none for an input of fixed shape.

    Returns:
        The largest difference seen, relative to the largest output.

    Raises:
        ParityError: it exceeds ``PARITY``.
    """
    leading = {name: (dynamic or {}).get(name, ("batch",)) for name in inputs}
    named = {name: torch.export.Dim(name) for names in leading.values() for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own internals while it traces
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple(
                {place: named[dim] for place, dim in enumerate(leading[name])} for name in inputs
            ),
            verbose=False,
        )
    if program is None:
        raise ParityError(f"{path}: torch exported nothing")
    program.save(str(path), external_data=False)
    worst = max(difference(module, path, outputs, given) for given in (inputs, *checks))
    if worst > PARITY:
        raise ParityError(f"{path}: differs from torch by {worst:.2g}, allowed {PARITY:.0e}")
    return worst


def difference(
    module: nn.Module, path: Path, outputs: Sequence[str], inputs: Mapping[str, Tensor]
) -> float:
    """Largest absolute difference between ONNX and torch, relative to the largest output."""
    with torch.no_grad():
        expected = module(*inputs.values())
    tensors = expected if isinstance(expected, tuple) else (expected,)
    fed = {name: value.numpy() for name, value in inputs.items()}
    found = load_session(path).run(list(outputs), fed)
    pairs = [(t.numpy(), np.asarray(f)) for t, f in zip(tensors, found, strict=True)]
    return max(float(np.abs(t - f).max()) / max(1.0, float(np.abs(t).max())) for t, f in pairs)
