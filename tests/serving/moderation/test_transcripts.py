"""What is said is judged as speech, and evidence says when."""

from serving.moderation.findings import Chunk, Content
from serving.moderation.transcripts import as_text, times_of
from tests.serving.moderation.test_verdict import moderator

SAID = (
    Chunk(0.0, 1.5, "姐妹们看过来"),
    Chunk(1.5, 3.0, "这款全国"),
    Chunk(3.1, 4.5, "销量第一"),
    Chunk(9.0, 10.0, "喜欢的扣一"),
)


def test_chunks_are_one_speech_that_pauses() -> None:
    text = as_text(SAID)
    assert text == "姐妹们看过来 这款全国 销量第一\n喜欢的扣一"
    assert times_of(SAID, (text.index("全国"), text.index("第一"))) == (1.5, 4.5)
    assert times_of(SAID, (0, 2)) == (0.0, 1.5)
    assert times_of(SAID, (len(text) - 1, len(text))) == (9.0, 10.0)
    assert as_text(()) == ""


def test_a_claim_that_stands_in_two_chunks_is_found_with_its_times() -> None:
    verdict = moderator().judge_content(Content(transcripts=(SAID[:1], SAID)), "CN")
    assert verdict.suggestion == "block"
    [found] = verdict.findings
    assert (found.source, found.evidence.raw) == ("transcript:1", "全国 销量第一")
    assert (found.time_s, found.end_s, found.box) == (1.5, 4.5, None)
    assert verdict.timings_ms.keys() == {"transcript"}


def test_what_stands_apart_is_no_claim() -> None:
    apart = (Chunk(0.0, 1.0, "全国"), Chunk(60.0, 61.0, "销量"), Chunk(120.0, 121.0, "第二"))
    assert not moderator().judge_content(Content(transcripts=(apart,)), "CN").findings


def test_the_model_scores_what_is_said() -> None:
    verdict = moderator(0.6).judge_content(Content(transcripts=(SAID[3:],)), "CN")
    [hate] = [one for one in verdict.labels if one.label == "hate"]
    assert round(hate.by_modality["text"], 3) == 0.6
    assert hate.suggestion == "review"
