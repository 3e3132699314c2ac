"""What is said in a video or a live room: timed chunks of text, judged as one speech."""

from collections.abc import Sequence
from itertools import pairwise

from models.canonical import read
from serving.moderation.findings import Finding, Found, Transcript
from serving.moderation.stages import Rules, TextScores, scored

PAUSE_S = 2.0  # from here on what follows is another sentence


def as_text(transcript: Transcript) -> str:
    """Chunks as one text, one character between two: a line break where the speaker pauses.

    Recognition cuts where it likes, so that rules and model see each chunk with what was said
    before and after it.
    """
    parts = [chunk.text for chunk in transcript[:1]]
    for before, after in pairwise(transcript):
        parts += ["\n" if after.start_s - before.end_s >= PAUSE_S else " ", after.text]
    return "".join(parts)


def times_of(transcript: Transcript, span: tuple[int, int]) -> tuple[float, float]:
    """From when to when what a span of `as_text` touches is said, in s."""
    touched, at = [], 0
    for chunk in transcript:
        if at < span[1] and span[0] < at + len(chunk.text):
            touched.append(chunk)
        at += len(chunk.text) + 1
    return touched[0].start_s, max(chunk.end_s for chunk in touched)


def heard(transcripts: Sequence[Transcript], rules: Rules, model: TextScores) -> Found:
    """What rules and text model find in what is said."""
    texts = [as_text(transcript) for transcript in transcripts]
    findings = []
    for n, (transcript, text) in enumerate(zip(transcripts, texts, strict=True)):
        for evidence in rules(read(text)):
            start_s, end_s = times_of(transcript, evidence.span)
            findings.append(Finding(f"transcript:{n}", evidence, None, start_s, end_s))
    return Found(findings=tuple(findings)).joined(scored(model, "text", texts))
