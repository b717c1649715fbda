"""The server of `stackgrad-mnist serve`: it serves the drawing page, and the model's answers to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from ..data.datasets import IMAGE_SHAPE, Split
from ..data.images import ImageError, read_image
from ..data.strokes import read_strokes
from ..runs.folder import Run
from .answers import answer
from .bodies import read_body
from .limits import Budget, Guard

MOST_STROKES_BYTES = 500_000
MOST_PICTURE_BYTES = 20_000_000
# Per client, and in total.
MOST_REQUESTS = (32, 128)  # requests being read or answered
MOST_WAITING = (8, 32)  # requests waiting for the model
MOST_BYTES = (40_000_000, 160_000_000)  # bytes of bodies in memory

JSON_TYPES = ("application/json",)
# Registered types, other names that browsers and tools use, and the type for unknown content. The content decides.
PICTURE_TYPES = (
    *("image/png", "image/jpeg", "image/bmp", "image/gif", "image/webp"),
    *("image/x-png", "image/apng", "image/jpg", "image/pjpeg", "image/x-bmp", "image/x-ms-bmp"),
    "application/octet-stream",
)


def make_app(run: Run, labels: Sequence[str], examples: Split | None = None, names: Collection[str] = ()) -> Guard:
    """An ASGI application that serves the page, and the answers of the run's model as JSON.

    GET /run describes the run. POST /strokes takes strokes for `read_strokes`, and POST /picture an image file; both
    return the result of `answers.answer`. GET /examples/N returns the answer to an example, with its `label`. Errors
    have a 4xx status and {"error": one line}.

    The model computes on its own thread, so other models may be trained at the same time. Do not use it elsewhere.

    Args:
        run: the run with the model.
        labels: the names of the classes.
        examples: images to choose from.
        names: accepted hosts besides `localhost` and IP addresses.
    """
    app = Starlette(
        routes=_Answers(run, labels, examples).routes(),
        exception_handlers={
            HTTPException: _http_error,
            ImageError: lambda request, error: _error(422, str(error)),
            ClientDisconnect: lambda request, error: _error(400, "the request ended early"),
            Exception: lambda request, error: _error(500, "internal error; see the server's terminal"),
        },
    )
    app.router.default = StaticFiles(directory=Path(__file__).with_name("web"), html=True)
    return Guard(app, names)


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail, dict(error.headers or {}))


class _Answers:
    """The routes that use the model."""

    def __init__(self, run: Run, labels: Sequence[str], examples: Split | None) -> None:
        self.run, self.labels, self.examples = run, list(labels), examples
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self.requests, self.waiting, self.bytes = Budget(*MOST_REQUESTS), Budget(*MOST_WAITING), Budget(*MOST_BYTES)
        blank = np.zeros(IMAGE_SHAPE, np.uint8)  # compiles the kernels before the first request
        layers = self.thread.submit(answer, run.model, blank).result()["layers"]
        self.shapes = [[layer["count"], layer["height"], layer["width"]] for layer in layers]

    @property
    def count(self) -> int:
        """How many examples there are."""
        return len(self.examples) if self.examples else 0

    def routes(self) -> list[Route]:
        return [
            Route("/run", self.about),
            Route("/strokes", self.strokes, methods=["POST"]),
            Route("/picture", self.picture, methods=["POST"]),
            Route("/examples/{index}", self.example),
        ]

    async def about(self, request: Request) -> Response:
        summary = self.run.summary
        return JSONResponse(
            {
                "model": summary["model"],
                "accuracy": summary["test_accuracy"],
                "labels": self.labels,
                "layers": self.shapes,
                "examples": self.count,
                "largest": MOST_PICTURE_BYTES,
            }
        )

    async def strokes(self, request: Request) -> Response:
        _expect_type(request, JSON_TYPES, "application/json")

        def read(body: bytes) -> NDArray[np.uint8]:
            try:
                strokes = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise HTTPException(400, f"not JSON: {error}") from error
            return read_strokes(strokes)

        return await self.answer(request, MOST_STROKES_BYTES, read)

    async def picture(self, request: Request) -> Response:
        _expect_type(request, PICTURE_TYPES, "image/png, image/jpeg, image/bmp, image/gif or image/webp")
        return await self.answer(request, MOST_PICTURE_BYTES, read_image)

    async def example(self, request: Request) -> Response:
        given = request.path_params["index"]
        index = int(given) if given.isdecimal() and len(given) < 10 else self.count
        if self.examples is None or index >= self.count:
            raise HTTPException(404, f"no such example: there are {self.count:,}, counted from 0")
        image, label = self.examples.images[index], self.examples.labels[index]
        return await self.answer(request, 0, lambda body: image, {"label": int(label)})

    async def answer(
        self,
        request: Request,
        most: int,
        read: Callable[[bytes], NDArray[np.uint8]],
        extra: dict[str, Any] | None = None,
    ) -> Response:
        """Respond with the model's answer to the image that `read` makes from the body."""

        def work(body: bytes) -> dict[str, Any]:
            return answer(self.run.model, read(body)) | (extra or {})

        client = request.client.host if request.client else ""
        with self.requests.share(client) as take, self.bytes.share(client) as take_bytes:
            take(1)
            body = await read_body(request, most, take_bytes)
            with self.waiting.share(client) as take:
                take(1)
                return JSONResponse(await asyncio.get_running_loop().run_in_executor(self.thread, work, body))


def _expect_type(request: Request, accepted: Collection[str], expected: str) -> None:
    """Refuse other media types, including all those that another site may send without a CORS preflight request."""
    found = request.headers.get("content-type", "")
    if found.partition(";")[0].strip().lower() not in accepted:
        raise HTTPException(415, f"the Content-Type is {found!a:.60}, expected {expected}")
