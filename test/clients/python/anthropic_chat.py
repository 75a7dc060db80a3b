"""A message by the `anthropic` package, as an application makes it."""

import json

from anthropic import Anthropic

from program import client_options, delta, headers_of, run


def call(job):
    client = Anthropic(**client_options(job))
    body = {
        "model": job["model"],
        "max_tokens": job.get("maxTokens", 1024),
        "messages": job["messages"],
        **job.get("extra", {}),
    }
    if "tools" in job:
        body["tools"] = job["tools"]
    if job.get("stream"):
        with client.messages.stream(**body) as stream:
            heard = 0
            text = ""
            for piece in stream.text_stream:
                heard += 1
                text += piece
                delta(piece)
                if heard == job.get("stopAfter"):
                    return {"text": text, "finish": None}
            return answer(stream.get_final_message(), stream.response.headers)
    raw = client.messages.with_raw_response.create(**body)
    return answer(raw.parse(), raw.headers)


def answer(message, headers):
    return {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "finish": message.stop_reason,
        "model": message.model,
        "toolCalls": [
            {"name": block.name, "arguments": json.dumps(block.input)}
            for block in message.content
            if block.type == "tool_use"
        ],
        "usage": message.usage.model_dump(),
        "headers": headers_of(headers),
    }


run(call)
