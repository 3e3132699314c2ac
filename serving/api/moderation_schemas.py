"""What is asked of moderation and answered; unknown fields are refused."""

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic.alias_generators import to_camel

from configs.labels import Action
from serving.api.schemas import Asked
from serving.records.items import Identifier, Region

TEXT_LIMIT = 20_000  # characters of one text
PARTS_LIMIT = 64
CHUNK_LIMIT = 2_000  # characters of one chunk of a transcript
CHUNKS_LIMIT = 2_000
TIME_LIMIT_S = 172_800.0  # of a stream
_DOT = (  # a white picture of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_LIMIT)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Surface = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]


class TextPart(Asked):
    """A text."""

    type: Literal["text"]
    text: Text


class PicturePart(Asked):
    """A picture: its bytes, the sha256 of an uploaded file, or an address that we may ask."""

    type: Literal["image"]
    base64: Annotated[str, StringConstraints(min_length=1)] | None = None
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    url: Url | None = None

    @model_validator(mode="after")
    def _comes_one_way(self) -> Self:
        if sum(way is not None for way in (self.base64, self.sha256, self.url)) != 1:
            raise ValueError("give one of base64, sha256 and url")
        return self


class TranscriptChunk(Asked):
    """What is said between two moments, in seconds from the start of the video or stream."""

    start_s: Annotated[float, Field(ge=0, le=TIME_LIMIT_S)]
    end_s: Annotated[float, Field(ge=0, le=TIME_LIMIT_S)]
    text: Annotated[str, StringConstraints(min_length=1, max_length=CHUNK_LIMIT)]

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end_s < self.start_s:
            raise ValueError(f"end_s {self.end_s} lies before start_s {self.start_s}")
        return self


class TranscriptPart(Asked):
    """What is said in a video or a live room, in order."""

    type: Literal["transcript"]
    chunks: Annotated[list[TranscriptChunk], Field(min_length=1, max_length=CHUNKS_LIMIT)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for n, (before, after) in enumerate(pairwise(self.chunks), 1):
            if after.start_s < before.start_s:
                raise ValueError(f"chunk {n} starts at {after.start_s}, before chunk {n - 1}")
        return self


class ImageUrl(Asked):
    """An address, or the picture itself as ``data:image/png;base64,…``."""

    url: Annotated[str, StringConstraints(min_length=1)]
    detail: Identifier | None = Field(None, description="taken and not used")


class ImageUrlPart(Asked):
    """A picture as OpenAI's clients send it."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[
    TextPart | TranscriptPart | PicturePart | ImageUrlPart, Field(discriminator="type")
]
Parts = Annotated[list[Part], Field(min_length=1, max_length=PARTS_LIMIT)]
OpenAiPart = Annotated[TextPart | PicturePart | ImageUrlPart, Field(discriminator="type")]
OpenAiParts = Annotated[list[OpenAiPart], Field(min_length=1, max_length=PARTS_LIMIT)]


class Placed(Asked):
    """Where a piece of content stands."""

    region: Region | None = Field(None, description="a code of ISO 3166; none: the policy's")
    surface: Surface | None = Field(
        None, description="where it stands, one of the policy's `surfaces`; none: the policy's"
    )


class ModerateFields(Placed):
    """The field `body` of a form, whose files are judged together with these parts."""

    parts: Annotated[tuple[Part, ...], Field(max_length=PARTS_LIMIT)] = ()


class ModerateBody(Placed):
    """One piece of content: its parts are judged together."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"parts": [{"type": "text", "text": "口碑好，全国销量第一"}], "region": "CN"},
                {"parts": [{"type": "image", "base64": _DOT}]},
                {
                    "parts": [
                        {
                            "type": "transcript",
                            "chunks": [
                                {"start_s": 0, "end_s": 1.8, "text": "姐妹们这款全国"},
                                {"start_s": 1.8, "end_s": 3.5, "text": "销量第一"},
                            ],
                        }
                    ],
                    "surface": "live",
                },
            ]
        }
    )
    parts: Parts


def _shape(value: Any) -> str:
    if isinstance(value, list):
        return "parts" if value and isinstance(value[0], dict) else "texts"
    return "text"


class ModerationsBody(Asked):
    """OpenAI's request: a text, several texts (a result each), or the parts of one item."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"input": "你好", "model": "omni-moderation-latest"},
                {"input": ["hello", "口碑好，全国销量第一"]},
                {
                    "input": [
                        {"type": "text", "text": "hello"},
                        {
                            "type": "image_url",
                            "image_url": {"url": f"data:image/png;base64,{_DOT}"},
                        },
                    ]
                },
            ]
        }
    )
    input: Annotated[
        Annotated[Text, Tag("text")]
        | Annotated[list[Text], Field(min_length=1, max_length=PARTS_LIMIT), Tag("texts")]
        | Annotated[OpenAiParts, Tag("parts")],
        Discriminator(_shape),
    ]
    model: Identifier | None = Field(
        None, description="taken and not used: what is published judges"
    )


class Comment(Asked):
    """The text that a Perspective client sends."""

    text: Text
    type: Literal["PLAIN_TEXT", "TEXT_TYPE_UNSPECIFIED"] = "PLAIN_TEXT"


class AttributeOptions(Asked):
    """Scores below the threshold are left out."""

    model_config = ConfigDict(alias_generator=to_camel)
    score_type: Literal["PROBABILITY", "SCORE_TYPE_UNSPECIFIED"] = "PROBABILITY"
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0


class PerspectiveBody(Asked):
    """Perspective's request; what only its own service used is taken and not used."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        json_schema_extra={
            "examples": [
                {
                    "comment": {"text": "hello"},
                    "languages": ["en"],
                    "requestedAttributes": {"TOXICITY": {}},
                }
            ]
        },
    )
    comment: Comment
    requested_attributes: Annotated[dict[str, AttributeOptions], Field(min_length=1, max_length=64)]
    languages: Annotated[tuple[Identifier, ...], Field(max_length=8)] = ()
    span_annotations: bool = False
    do_not_store: bool = True
    client_token: Identifier | None = None
    session_id: Identifier | None = None
    community_id: Identifier | None = None
    context: dict[str, Any] | None = None


class LabelAnswer(BaseModel):
    """One label: a calibrated probability, or 1 where a rule was broken (`by_rule`).

    `certificate` names the one that covers a block by score; null: none does.
    """

    label: str
    score: float
    by_rule: bool
    by_modality: dict[str, float]
    pass_below: float | None
    block_from: float | None
    enforced: bool
    suggestion: Action
    certificate: str | None


class EvidenceAnswer(BaseModel):
    """A finding of a rule: `span` in characters of the original text of `source`.

    `source` is a text, the text in a picture (`ocr:0`), a picture or what is said (`transcript:0`:
    all chunks, one character between two). `box` is where it stands in a picture: left, top, width
    and height in pixels of the picture as sent; `time_s` is when it is shown in a video or begins
    to be said, `end_s` when it has been said. It counts unless `exemption` names the lawful use
    that applies, or `shadow` is true.
    """

    rule: str
    label: str
    statute: str
    reason_code: str | None
    severity: int
    action: Action
    source: str
    span: tuple[int, int]
    box: tuple[int, int, int, int] | None
    time_s: float | None
    end_s: float | None
    raw: str
    canonical: str
    channel: str
    exemption: str | None
    shadow: bool


class DuplicateAnswer(BaseModel):
    """A part that is a copy of a bank's entry.

    `distance` is of 256 bits (`pdq`) or the share of shingles that differ (`minhash`).
    """

    source: str
    bank: str
    entry: str
    label: str
    action: Action
    way: str
    distance: float | None
    inliers: int | None


class VersionsAnswer(BaseModel):
    """What judged."""

    model: str
    policy: str
    rules: list[str]


class ContentValueAnswer(BaseModel):
    """How useful the most useful text is, as probabilities; nothing follows from it."""

    strong_use: float
    weak_use: float
    no_use: float


class VerdictAnswer(BaseModel):
    """What to do and why; nothing that is published and holds there looks for `unsupported`.

    `uncertified`: nothing was found, but no certificate bounds how often that is wrong.
    `content_value` is null where there is no text.
    """

    suggestion: Action
    region: str
    surface: str
    certificate: str | None
    uncertified: bool
    labels: list[LabelAnswer]
    evidence: list[EvidenceAnswer]
    duplicates: list[DuplicateAnswer]
    content_value: ContentValueAnswer | None
    unsupported: list[str]
    versions: VersionsAnswer
    timings_ms: dict[str, float]
    stopped_after: str | None = Field(
        description="the stage after which a certified block ended the search; null: all was read"
    )


class ModerateAnswer(VerdictAnswer):
    """The verdict on one piece of content."""

    request_id: str


class ModerationResult(BaseModel):
    """OpenAI's result, and our verdict beside it."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[Literal["text", "image"]]]
    decision: VerdictAnswer


class ModerationsAnswer(BaseModel):
    """OpenAI's answer."""

    id: str
    model: str
    results: list[ModerationResult]


class PerspectiveAnswer(BaseModel):
    """Perspective's answer."""

    model_config = ConfigDict(alias_generator=to_camel)
    attribute_scores: dict[str, dict[str, Any]]
    languages: list[str]
    detected_languages: list[str]
    client_token: str | None = None
