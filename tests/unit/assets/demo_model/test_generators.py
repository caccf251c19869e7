"""What the demo model's data generators promise."""

import json
import random

import pytest

from assets.demo_model.train import chat, explain, grammar, noise, scenes, stories, tools
from assets.demo_model.train.evaluate import outside_questions, unseen_topics

LANGUAGES = ("en", "zh")


@pytest.fixture
def rng() -> random.Random:
    return random.Random(7)


def test_grammar_writes_every_choice_and_nothing_else(rng: random.Random) -> None:
    assert {grammar.expand("a {b|c} [d]", rng) for _ in range(200)} == {"a b", "a c", "a b d", "a c d"}


def test_chinese_patterns_have_optional_characters(rng: random.Random) -> None:
    assert {grammar.expand("好的?吗", rng, chinese=True) for _ in range(50)} == {"好吗", "好的吗"}


def test_unbalanced_brackets_are_refused(rng: random.Random) -> None:
    with pytest.raises(ValueError, match="missing"):
        grammar.expand("a {b", rng)


def test_topics_are_complete_and_their_answers_differ() -> None:
    topics = explain.topics()
    assert len(topics) >= 80
    assert len({t.name for t in topics}) == len(topics)
    for language in LANGUAGES:
        assert len({t.answer[language] for t in topics}) == len(topics)
        assert all(t.nouns[language] or t.questions[language] for t in topics)


def test_every_topic_has_unseen_wordings_in_both_languages() -> None:
    found = {(name, language) for name, language, _ in unseen_topics()}
    assert found == {(t.name, language) for t in explain.topics() for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_training_never_uses_the_evaluations_wordings(language: str, rng: random.Random) -> None:
    kept = {explain.bare(w) for _, lang, w in unseen_topics() if lang == language} | {
        explain.bare(q) for q in outside_questions()[language]
    }
    assert kept <= explain.kept_back()
    for topic in explain.topics():
        for _ in range(20):
            assert explain.bare(explain.wording(topic, language, rng)) not in kept
    for _ in range(500):
        assert explain.bare(chat.outside(language, rng)) not in kept


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_placeholder_is_left_in_a_question_or_a_story(language: str, rng: random.Random) -> None:
    for _ in range(300):
        asked, story = stories.request(language, rng)
        kinds = [chat.question(kind, language, rng) for kind in chat.QUESTIONS]
        for text in (asked, story, chat.outside(language, rng), *kinds):
            assert not set(text) & set("{}<>\0\1\2\3|"), text


def test_typing_errors_leave_numbers_alone(rng: random.Random) -> None:
    for _ in range(200):
        assert "3.25" in noise.typed("what is 3.25 times 4", "en", rng, errors=False)


def test_scenes_keep_their_shapes_apart_and_inside(rng: random.Random) -> None:
    for _ in range(400):
        scene = scenes.sample(rng)
        wide, high = max(1.0, scene.aspect), max(1.0, 1 / scene.aspect)
        for i, shape in enumerate(scene.shapes):
            assert shape.size / wide < shape.x < 1 - shape.size / wide
            assert shape.size / high < shape.y < 1 - shape.size / high
            assert shape.colour != scene.background
            for other in scene.shapes[:i]:
                gap = (((shape.x - other.x) * wide) ** 2 + ((shape.y - other.y) * high) ** 2) ** 0.5
                assert gap > shape.size + other.size


def test_a_scene_is_described_with_all_it_shows() -> None:
    red, blue = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    scene = scenes.Scene(
        [scenes.Shape("star", "blue", blue, 0.8, 0.8, 0.1), scenes.Shape("circle", "red", red, 0.1, 0.1, 0.05)],
        "white",
        (1, 1, 1),
        1.0,
    )
    assert (
        scenes.describe(scene, "en")
        == "The picture shows 2 shapes: a red circle at the top left and a blue star at the bottom right."
    )
    assert scenes.describe(scene, "zh") == "图中有 2 个图形：左上方的红色圆形和右下方的蓝色星形。"
    assert scenes.count_answer(0, "red", "star", "en") == "There are no red stars."
    assert scenes.exists_answer(scene, "cross", None, "zh") == "没有，图中没有十字。"
    largest, smallest = scenes.by_size(scene)
    assert (largest, smallest) == (scene.shapes[0], scene.shapes[1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_calculations_are_calls_of_offered_functions_with_their_results(language: str, rng: random.Random) -> None:
    for _ in range(1000):
        offered, turns = tools.conversation(language, rng)
        functions = {t["function"]["name"]: t["function"]["parameters"]["required"] for t in offered}
        assert [role for role, _ in turns[:1]] == ["user"]
        assert turns[-1][0] == "assistant"
        for role, text in turns[1:-1]:
            if role == "assistant":
                call = json.loads(text.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"))
                assert list(call["arguments"]) == functions[call["name"]]
                assert all(isinstance(v, int | float) for v in call["arguments"].values())
