"""Schema of ``configs/classifier.yaml``: the text classifier's recipe."""

from pathlib import Path

from pydantic import Field

from configs.schema import Section


class ClassifierData(Section):
    """How much of each source; see the YAML."""

    contrast_rows: int = Field(ge=0)
    held_contrast_rows: int = Field(ge=0)
    review_rows: int = Field(ge=0)
    headline_rows: int = Field(ge=0)
    voted_rows: int = Field(ge=100)
    evaded_share: float = Field(ge=0, le=1)
    evaded_words: float = Field(ge=0, le=1)


class ClassifierFit(Section):
    """Size of the model and steps of its training."""

    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    contrast_weight: float = Field(gt=0)
    held_contrast_weight: float = Field(ge=0)
    wide_inverse_l2: float = Field(gt=0)
    hidden: int = Field(ge=1)


class FusionFit(Section):
    """What the fusion of modalities is fitted and measured on; see the YAML."""

    pictures: int = Field(ge=20)
    held_out_pictures: int = Field(ge=20)
    contents: int = Field(ge=100)


class ClassifierRecipe(Section):
    """Everything that decides what a training run makes of its data."""

    seed: int
    encoder: Path | None
    labels: tuple[str, ...] = Field(min_length=1)
    data: ClassifierData
    fit: ClassifierFit
    fusion: FusionFit
