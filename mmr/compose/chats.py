"""How captioners and rewriters are asked where they are models behind a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmr.compose.language import captions_in
from mmr.compose.styles import Style
from mmr.pictures.sent import QUALITY, SIDE, jpeg
from mmr.programs.endpoint import Chat, picture, texts

LONGEST = 300  # tokens of a reply
WARMTH = 1.0  # temperature where several different captions are wanted


def caption_chat(style: Style, count: int) -> Chat:
    """Ask a model that sees for `count` captions of a picture: one as likely as can be, several by chance."""
    how = {"max_tokens": LONGEST, "temperature": WARMTH if count > 1 else 0, "n": count}

    def body(request: Mapping[str, Any]) -> dict[str, Any]:
        words = {"type": "text", "text": style.instructions}
        return {"messages": [{"role": "user", "content": [words, picture(jpeg(request))]}], **how}

    def answer(response: Mapping[str, Any]) -> dict[str, Any]:
        return {"captions": captions_in({"captions": texts(response)}, count)}

    return Chat(f"{style.instructions}\n{how} {SIDE} {QUALITY}", body, answer)


def rewrite_chat() -> Chat:
    """Ask a language model for an edit; the request holds the messages."""
    how = {"max_tokens": LONGEST, "temperature": 0}

    def body(request: Mapping[str, Any]) -> dict[str, Any]:
        return {"messages": request["messages"], **how}

    def answer(response: Mapping[str, Any]) -> dict[str, Any]:
        return {"reply": texts(response)[0]}

    return Chat(f"{how}", body, answer)
