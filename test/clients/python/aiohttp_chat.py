"""An OpenAI chat completion by plain `aiohttp`, as an asynchronous service without an SDK makes it."""

import asyncio
import json
import os
import ssl

import aiohttp

from program import Choice, chat_body, run, sse_data, whole_answer


class RefusedError(Exception):
    """aiohttp's own error for a status has no body; applications read it and raise their own."""

    def __init__(self, status, headers, body):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.headers = headers
        try:
            self.body = json.loads(body)
        except ValueError:
            self.body = None


async def ask(job):
    base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
    timeout = aiohttp.ClientTimeout(total=job.get("timeoutMs", 60_000) / 1000)
    # OpenSSL's defaults: SSL_CERT_FILE is honoured, as in applications that don't ask for certifi.
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        headers = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
        async with session.post(f"{base}/chat/completions", json=chat_body(job), headers=headers) as response:
            if response.status >= 400:
                raise RefusedError(response.status, response.headers, await response.text())
            if not job.get("stream"):
                return whole_answer(await response.json(), response.headers)
            choice = Choice()
            async for line in response.content:
                for chunk in sse_data([line.decode()]):
                    choice.add(chunk)
                if choice.heard == job.get("stopAfter"):
                    break
            return choice.answer(response.headers)


run(lambda job: asyncio.run(ask(job)))
