"""From a bundle's folder to the cascade: the one way, for the server and for whoever judges it."""

from dataclasses import dataclass
from pathlib import Path

from configs.labels import load_labels
from configs.load import ConfigError
from configs.policy import load_policies
from embeddings.fusion_model import fused_labels, load_fusion
from embeddings.picture_model import PictureModel, load_picture_model
from embeddings.text_model import KIND, TextModel, load_text_model
from models.bundle import open_bundle
from serving.moderation.banks import BankBook
from serving.moderation.eyes import PackagedEyes
from serving.moderation.rulebook import RuleBook
from serving.moderation.rules import RuleError
from serving.moderation.sight import Sight
from serving.moderation.verdict import Moderator


@dataclass(frozen=True)
class Opened:
    """What one bundle judges by: the cascade over both models; `pictures` is None without them."""

    moderator: Moderator
    texts: TextModel
    pictures: PictureModel | None


def open_moderator(folder: Path, policies: Path) -> Opened:
    """Open a bundle under the policies and rule packs that a folder holds now; banks are empty.

    Raises:
        BundleError: the bundle is damaged or of another kind.
        ConfigError: a policy or a rule pack is refused; names file and key or case.
    """
    labels = load_labels()
    texts = load_text_model(folder)
    bundle = open_bundle(folder, KIND)
    pictures = load_picture_model(bundle)
    eyes = PackagedEyes(pictures)
    fusion = load_fusion(bundle, fused_labels(texts.labels, eyes.labels))
    rulings = load_policies(policies, labels, (*texts.labels, *eyes.labels))
    try:
        book = RuleBook(policies / "rules", labels)
    except RuleError as error:
        raise ConfigError(str(error)) from error
    moderator = Moderator(
        labels, rulings, book, texts, sight=Sight(eyes), banks=BankBook(), fusion=fusion
    )
    return Opened(moderator, texts, pictures)
