"""A conversation as a request: the body of a chat completion. Pure."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backend.chat.answer_form import response_format
from backend.chat.conversation import Answer, Conversation, Picture, Question, Sampling, split_thinking
from backend.chat.documents import document_text
from backend.chat.logprobs import ALTERNATIVES
from backend.chat.toolset import tool_schemas

NO_RESULT = "error: nobody gave a result"
PictureUrl = Callable[[Picture], str]


def chat_request(
    conversation: Conversation,
    lane: int,
    model_id: str,
    takes_images: bool,
    picture_url: PictureUrl,
    go_on: tuple[Answer, str] | None = None,
    engine: str = "",
    thinking_switch: str = "",
) -> dict[str, Any]:
    """The request for the last question's answer in that lane, without ``stream``.

    An earlier question that nobody answered is left out with its answer: chat templates want turns to alternate.
    Earlier pictures are left out where the model takes none, and the oldest questions where the answer says so.
    ``go_on``: an answer that was cut off, and the words that ask for its rest; every template takes these, while one
    that goes on with an unfinished turn is rare. ``thinking_switch``: the template's variable (thinking.py).
    """
    sampling = conversation.sampling
    messages: list[dict[str, Any]] = []
    if sampling.system.strip():
        messages.append({"role": "system", "content": sampling.system})
    last = conversation.exchanges[-1]
    left_out = last.answers[lane].left_out if len(last.answers) > lane else 0
    for exchange in conversation.exchanges[left_out:-1]:
        answer = exchange.answers[min(lane, len(exchange.answers) - 1)] if exchange.answers else None
        if answer is not None and answer.text.strip():
            messages.append(question_message(exchange.question, takes_images, picture_url))
            messages.extend(answer_messages(answer))
    messages.append(question_message(last.question, takes_images, picture_url))
    if go_on is not None:
        begun, words = go_on
        messages.extend(answer_messages(begun))
        messages.append({"role": "user", "content": words})
        done = len(begun.rounds)
        messages.extend(round_messages(replace(last.answers[lane], rounds=last.answers[lane].rounds[done:])))
    elif len(last.answers) > lane:
        messages.extend(round_messages(last.answers[lane]))
    fields = sampling_fields(sampling, engine)
    if thinking_switch and sampling.thinking is not None:
        fields["chat_template_kwargs"] = {thinking_switch: sampling.thinking}
    return {"model": model_id, "messages": messages, **fields}


def sampling_fields(sampling: Sampling, engine: str = "") -> dict[str, Any]:
    """The settings and tools as a request to that engine has them; what a server shall choose is left out."""
    fields: dict[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p}
    if sampling.max_tokens is not None:
        fields["max_tokens"] = sampling.max_tokens
    if sampling.top_k is not None:
        fields["top_k"] = sampling.top_k
    if (penalty := sampling.repetition_penalty) is not None:
        # transformers serve refuses the one, and makes the other of what OpenAI calls so
        name, value = (
            ("frequency_penalty", penalty - 1) if engine == "transformers" else ("repetition_penalty", penalty)
        )
        fields[name] = round(value, 6)
    if sampling.seed is not None:
        fields["seed"] = sampling.seed
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    if sampling.answer_form is not None:
        fields["response_format"] = response_format(sampling.answer_form)
    if sampling.logprobs:
        fields |= {"logprobs": True, "top_logprobs": ALTERNATIVES + 1}  # the one that was written is among them
    if tools := tool_schemas(sampling):
        fields["tools"] = tools
    return fields


def question_message(question: Question, takes_images: bool, picture_url: PictureUrl) -> dict[str, Any]:
    """Pictures first, as vision models are trained, then the files' texts; plain text where there are no pictures."""
    texts = [*map(document_text, question.documents), *([question.text] if question.text else [])]
    text = "\n\n".join(texts)
    if not question.pictures or not takes_images:
        return {"role": "user", "content": text}
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": picture_url(picture)}} for picture in question.pictures
    ]
    if text:
        parts.append({"type": "text", "text": text})
    return {"role": "user", "content": parts}


def answer_messages(answer: Answer) -> list[dict[str, Any]]:
    """An earlier answer, with the tool calls on its way, without what was only thought."""
    return [*round_messages(answer), {"role": "assistant", "content": split_thinking(answer.text)[1]}]


def round_messages(answer: Answer) -> list[dict[str, Any]]:
    """What the model called so far, and what came out."""
    messages: list[dict[str, Any]] = []
    for step in answer.rounds:
        calls = [
            {"id": use.id, "type": "function", "function": {"name": use.name, "arguments": valid_json(use.arguments)}}
            for use in step.calls
        ]
        messages.append({"role": "assistant", "content": step.text, "tool_calls": calls})
        messages.extend(
            {"role": "tool", "tool_call_id": use.id, "content": NO_RESULT if use.waiting else use.result}
            for use in step.calls
        )
    return messages


def valid_json(arguments: str) -> str:
    """Servers parse the arguments of earlier calls: what isn't a JSON object is sent back as an empty one."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except ValueError:
        return "{}"
