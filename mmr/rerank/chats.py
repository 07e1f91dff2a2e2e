"""How a model behind a server is asked whether a candidate matches a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmr.pictures.sent import QUALITY, SIDE, jpeg
from mmr.programs.endpoint import Chat, first_token, picture
from mmr.rerank.asked import masses
from mmr.rerank.prompts import Prompt

TOKENS = 20  # likeliest first tokens that a server is asked for
HOW = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": TOKENS}


def yes_no_chat(prompt: Prompt) -> Chat:
    """Ask for one word, and read the probabilities of both words from the first token.

    Raises `ValueError`, through the chat, for a query or a candidate with neither words nor picture.
    """

    def body(request: Mapping[str, Any]) -> dict[str, Any]:
        content = [
            *_shown("The query", request, "query", "query_"), *_shown("The candidate", request, "text", ""),
            {"type": "text", "text": prompt.question},
        ]  # fmt: skip
        return {"messages": [{"role": "user", "content": content}], **HOW}

    def answer(response: Mapping[str, Any]) -> dict[str, Any]:
        return masses(first_token(response), prompt.yes, prompt.no)

    shaped = f"{prompt.question}\n{prompt.yes} {prompt.no} {HOW} {SIDE} {QUALITY}"
    return Chat(shaped, body, answer)


def _shown(name: str, request: Mapping[str, Any], words: str, prefix: str) -> list[dict[str, Any]]:
    """One side of the question as parts of a message."""
    text = request.get(words)
    parts = [{"type": "text", "text": f"{name}: {text}" if text else f"{name}:"}]
    if f"{prefix}image" in request:
        parts.append(picture(jpeg(request, prefix)))
    elif not text:
        raise ValueError(f"{name[0].lower()}{name[1:]} has neither words nor a picture that could be shown")
    return parts
