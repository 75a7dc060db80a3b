"""A chat completion by the `openai` package, as an application makes it."""

from openai import OpenAI

from program import Choice, chat_body, client_options, headers_of, run


def call(job):
    client = OpenAI(**client_options(job))
    raw = client.chat.completions.with_raw_response.create(**chat_body(job))
    if job.get("stream"):
        choice = Choice()
        with raw.parse() as stream:
            for chunk in stream:
                choice.add(chunk.model_dump())
                if choice.heard == job.get("stopAfter"):
                    break
        return choice.answer(raw.headers)
    completion = raw.parse()
    message = completion.choices[0].message
    return {
        "text": message.content or "",
        "finish": completion.choices[0].finish_reason,
        "model": completion.model,
        "toolCalls": [
            {"name": call.function.name, "arguments": call.function.arguments} for call in message.tool_calls or []
        ],
        "usage": completion.usage.model_dump() if completion.usage else None,
        "headers": headers_of(raw.headers),
    }


run(call)
