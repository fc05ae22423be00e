"""The web application around a service: scores, health, counters, policy. Needs FastAPI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from ... import __version__
from ...errors import OutputError
from .answers import Answer, Change, Health, PolicyAnswer, Problem
from .bodies import MEDIA_TYPES
from .counters import CONTENT_TYPE, Counters
from .guard import OPEN, HttpGuard
from .limits import Refusal
from .posted import Given
from .service import Service

__all__ = ["make_app"]

_Positive = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Channel = Literal["difference", "science", "reference"]
_WHY = {
    400: "The request is no HTTP, or was broken off",
    401: "No token, or a wrong one",
    403: "A strange name of this computer, or the page of another origin",
    408: "The body did not come in time",
    409: "The service was started without a file for its policy",
    413: "Too large: the body, what it unpacks to, or the number of stamps",
    415: "A type of body that is not known",
    422: "A body or a value that cannot be used, and why",
    503: "Too many ask at once; `Retry-After` says when to ask again",
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "A FITS file (an image H x W a channel, or a cube C x H x W a stamp; gzipped too), a NumPy .npy "
        "of shape (H, W), (C, H, W) or (N, C, H, W), or an Avro container of ZTF or Rubin alerts.",
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPES},
    }
}
#: What a query of `/score` may say.
_WORDS = frozenset({"noise", "fwhm", "id", "channels", "mjd"})
_CHANGE_BYTES = 10_000
_CHANGE = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": Change.model_json_schema()}}},
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": _WHY[status]} for status in statuses}


def make_app(
    service: Service, *, token: str | None = None, hosts: Collection[str] = (), counters: Counters | None = None
) -> HttpGuard:
    """Return the application, its guard before it.

    Parameters
    ----------
    service : Service
        What answers; started by who calls.
    token : str, optional
        Needed by everything but `/health` and `/openapi.json`, and by a change of the policy in any case.
    hosts : collection of str
        Further names of this computer.
    counters : Counters, optional
        What `/metrics` shows.
    """
    counters = counters or Counters(service.card)
    counters.watch("queue_rows", "Stamps that wait to be scored", lambda: service.engine.waiting)
    counters.watch("held_bytes", "Bytes of bodies that are held", lambda: service.held)
    # the pages of documentation would load from elsewhere; the description itself is here
    app = FastAPI(title="realbogus", version=__version__, docs_url=None, redoc_url=None)

    @app.post("/score", responses={200: {"model": Answer}, **_problems(400, 401, 403, 408, 413, 415, 422, 503)},
              openapi_extra=_BODY)  # fmt: skip
    async def score(
        request: Request,
        noise: Annotated[list[_Positive], Query(description="Sigma of the frame, one or one a stamp")] = [],  # noqa: B006
        fwhm: Annotated[list[_Positive], Query(description="PSF size, pixels, one or one a stamp")] = [],  # noqa: B006
        id: Annotated[list[_Name], Query(description="Names, one a stamp")] = [],  # noqa: B006
        channels: Annotated[list[_Channel], Query(description="Of the planes, in their order")] = [],  # noqa: B006
        mjd: Annotated[float | None, Query(ge=-1e6, le=1e6, description="When the stamps were taken")] = None,
    ) -> Response:
        """Score stamps."""
        if strange := sorted(set(request.query_params) - _WORDS):  # a mistyped fwhm would be a wrong score, unsaid
            raise Refusal(422, f"query.{strange[0][:50]}: not known; known are {', '.join(sorted(_WORDS))}")
        given = Given(tuple(noise), tuple(fwhm), tuple(id), tuple(channels), mjd)
        data = bytearray()
        try:
            await _fetch(request, service, data, service.limits.body_bytes)
            answer = await service.score(bytes(data), request.headers.get("content-type", ""), given)
        finally:
            service.hold(-len(data))
        counters.failed(len(answer["failed"]))
        return Response(json.dumps(answer, allow_nan=False), media_type="application/json")

    @app.get("/health", responses=_problems(403))
    async def health() -> Health:
        """Say how the service is."""
        return Health(**service.health())

    @app.get("/metrics", response_class=Response, responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "For Prometheus"},
        **_problems(401, 403)})  # fmt: skip
    async def metrics() -> Response:
        """Show the counters."""
        return Response(counters.text(), headers={"content-type": CONTENT_TYPE})

    @app.get("/policy", responses=_problems(401, 403, 503))
    def policy() -> PolicyAnswer:
        """Say which scores are real, and how that has changed."""
        return PolicyAnswer(**service.policy())

    @app.put("/policy", responses=_problems(400, 401, 403, 408, 409, 413, 415, 422, 503), openapi_extra=_CHANGE)
    async def change(request: Request) -> PolicyAnswer:
        """Change which scores are real, from the next candidate on; the change is recorded."""
        if token is None:
            raise Refusal(403, "the policy is changed with a token: start the service with --token")
        data = bytearray()
        try:
            await _fetch(request, service, data, _CHANGE_BYTES)
        finally:
            service.hold(-len(data))
        try:
            new = Change.model_validate_json(bytes(data))
        except ValidationError as error:
            raise Refusal(422, _said(error.errors())) from None
        return PolicyAnswer(**await asyncio.to_thread(service.change, new.policy, new.who, new.why))

    _handle_errors(app, service)
    app.openapi = lambda: _openapi(app, token)  # type: ignore[method-assign]
    paths = [route.path for route in app.routes if isinstance(route, Route)]
    return HttpGuard(app, token, hosts, counters.answered, paths)


async def _fetch(request: Request, service: Service, data: bytearray, most: int) -> None:
    """Read a body of `most` bytes; FastAPI itself would read one without end."""
    limits = service.limits
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "an encoded body: send it plain, or a file that is gzipped itself")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise Refusal(413, f"a body of {length} bytes, at most {most} are taken: send it in parts")
    try:
        async with asyncio.timeout(limits.body_s):
            async for chunk in request.stream():
                if len(data) + len(chunk) > most:
                    raise Refusal(413, f"a body of more than {most} bytes: send it in parts")
                data += chunk
                service.hold(len(chunk))
    except TimeoutError:
        raise Refusal(408, f"{len(data)} bytes of the body came in {limits.body_s:g} s: send faster, or less") from None
    except ClientDisconnect:
        raise Refusal(400, "the request was broken off") from None


def _said(errors: Sequence[Any]) -> str:
    return "; ".join(f"{'.'.join(str(part) for part in entry['loc'])}: {entry['msg']}" for entry in errors[:9])


def _handle_errors(app: FastAPI, service: Service) -> None:
    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refusal)
        headers = {"retry-after": str(service.engine.retry_s())} if error.status == 503 else {}
        if error.status == 408:
            headers["connection"] = "close"  # what comes late is not waited for
        return JSONResponse({"detail": error.reason}, error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return JSONResponse({"detail": _said(error.errors())}, 422)

    @app.exception_handler(405)
    async def other(request: Request, _: Exception) -> JSONResponse:
        known = {
            method for route in app.routes if isinstance(route, Route) and route.path == request.url.path
            for method in route.methods or ()
        }  # fmt: skip
        return JSONResponse(
            {"detail": f"{request.method} is not for this path"}, 405, {"allow": ", ".join(sorted(known))}
        )

    @app.exception_handler(OutputError)
    async def full(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503, {"retry-after": "60"})


def _openapi(app: FastAPI, token: str | None) -> dict[str, Any]:
    """Return the description, with the token where one is asked for."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        if token is not None:
            schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            for path, verbs in schema["paths"].items():
                for operation in verbs.values() if path not in OPEN else ():
                    operation["security"] = [{"token": []}]
        app.openapi_schema = schema
    return app.openapi_schema
