"""Schema of ``configs/pictures.yaml``: the recipe of the picture head."""

from pydantic import Field

from configs.schema import Section


class PictureRecipe(Section):
    """See the YAML."""

    policies: dict[str, str] = Field(min_length=2)
    inverse_l2: float = Field(gt=0)
    folds: int = Field(ge=2)
    same_picture_cosine: float = Field(gt=0, le=1)
    seed: int

    def fitted(self) -> tuple[str, ...]:
        """Policies that the head learns, in order."""
        return tuple(name for name in self.policies if name != "explicit")
