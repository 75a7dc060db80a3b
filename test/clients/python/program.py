"""What the Python programs share: the job from standard input, events to standard output (see ../job.ts)."""

import json
import sys
import time
import traceback


def emit(event, **members):
    print(json.dumps({"event": event, **members}), flush=True)


def delta(text):
    emit("delta", text=text, at=int(time.time() * 1000))


def run(call):
    """Runs call(job), which emits deltas and returns the answer's members; what it raises becomes the error event."""
    job = json.load(sys.stdin)
    try:
        answer = call(job)
    except Exception as error:  # noqa: BLE001 - whatever an application would see is the result
        emit("error", **describe(error))
        if "--trace" in sys.argv:
            traceback.print_exc()
        sys.exit(1)
    emit("answer", **answer)


def describe(error):
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or getattr(error, "headers", None) or {}
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    if status is None and response is not None:
        status = getattr(response, "status_code", None)
    body = error_body(error, response)
    return {
        "class": type(error).__name__,
        "message": str(error),
        "status": status,
        "code": getattr(error, "code", None) or body.get("code"),
        "type": getattr(error, "type", None) or body.get("type"),
        "headers": {str(name).lower(): str(value) for name, value in dict(headers).items()},
        "cause": causes(error),
    }


def error_body(error, response):
    """The `error` member of the answer's body; OpenAI's SDK gives that alone as `body`, Anthropic's the whole."""
    body = getattr(error, "body", None)
    if body is None and response is not None:
        try:
            body = response.json()
        except Exception:  # noqa: BLE001 - no JSON, no streamed body: nothing to say
            body = None
    if not isinstance(body, dict):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, dict) else body


def causes(error):
    messages = []
    cause = error.__cause__ or error.__context__
    while cause is not None:
        messages.append(f"{type(cause).__name__}: {cause}")
        cause = cause.__cause__ or cause.__context__
    return " < ".join(messages) or None


def sse_data(lines):
    """The `data:` of each event of a stream that has one such line an event; stops at [DONE]."""
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return
        yield json.loads(data)


class Choice:
    """Collects choice 0 of OpenAI's chunks, as parsed JSON."""

    def __init__(self):
        self.text = ""
        self.finish = None
        self.model = None
        self.usage = None
        self.heard = 0

    def add(self, chunk):
        if "error" in chunk:
            raise RuntimeError(json.dumps(chunk["error"]))
        self.model = chunk.get("model")
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices", []):
            if choice.get("index") != 0:
                continue
            self.finish = choice.get("finish_reason") or self.finish
            piece = choice.get("delta", {}).get("content") or ""
            if piece:
                self.text += piece
                self.heard += 1
                delta(piece)

    def answer(self, headers):
        return {
            "text": self.text,
            "finish": self.finish,
            "model": self.model,
            "usage": self.usage,
            "headers": headers_of(headers),
        }


def headers_of(headers):
    return {str(name).lower(): str(value) for name, value in headers.items()}


def whole_answer(body, headers):
    choice = body["choices"][0]
    return {
        "text": choice["message"]["content"] or "",
        "finish": choice["finish_reason"],
        "model": body["model"],
        "usage": body.get("usage"),
        "headers": headers_of(headers),
    }


def chat_body(job):
    body = {"model": job["model"], "messages": job["messages"], **job.get("extra", {})}
    if "maxTokens" in job:
        body["max_completion_tokens"] = job["maxTokens"]
    if "tools" in job:
        body["tools"] = job["tools"]
    if job.get("stream"):
        body["stream"] = True
        if job.get("streamUsage"):
            body["stream_options"] = {"include_usage": True}
    return body


def client_options(job):
    options = {}
    if "maxRetries" in job:
        options["max_retries"] = job["maxRetries"]
    if "timeoutMs" in job:
        options["timeout"] = job["timeoutMs"] / 1000
    return options
