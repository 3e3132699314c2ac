"""Bring an encoder's published weights into the form that serves: ONNX, checked against torch.

    python -m training.import_encoder text --out FOLDER
    python -m training.import_encoder text --model LOCAL_TRANSFORMERS_FOLDER --out FOLDER

Without ``--model`` the packaged multilingual encoder is written. ``encoder:`` of
``configs/classifier.yaml`` may name the folder.
"""

import argparse
from pathlib import Path

from training.report import print_report
from training.text_encoder import write_transformer, write_universal_encoder


def main() -> None:
    """Import one encoder and print its parity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["text"])
    parser.add_argument("--model", type=Path, help="a transformers folder on this machine")
    parser.add_argument("--most-pieces", type=int, default=192, help="of a text that are read")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.model is None:
        parity = write_universal_encoder(arguments.out)
    else:
        parity = write_transformer(arguments.model, arguments.out, arguments.most_pieces)
    print_report("import_encoder", figures={"parity": parity})


if __name__ == "__main__":
    main()
