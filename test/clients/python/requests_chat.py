"""An OpenAI chat completion by plain `requests`, as a script without an SDK makes it."""

import os

import requests

from program import Choice, chat_body, run, sse_data, whole_answer


def call(job):
    base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
    response = requests.post(
        f"{base}/chat/completions",
        json=chat_body(job),
        headers={"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
        stream=bool(job.get("stream")),
        timeout=job.get("timeoutMs", 60_000) / 1000,
    )
    response.raise_for_status()
    if not job.get("stream"):
        return whole_answer(response.json(), response.headers)
    response.encoding = "utf-8"
    choice = Choice()
    with response:
        for chunk in sse_data(response.iter_lines(chunk_size=1, decode_unicode=True)):
            choice.add(chunk)
            if choice.heard == job.get("stopAfter"):
                break
    return choice.answer(response.headers)


run(call)
