"""The web application around a booth: four questions, three files and an icon. Needs FastAPI."""

from __future__ import annotations

import re
from importlib import resources
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, FiniteFloat

from ..errors import InputError, OutputError
from .booth import Booth, OutsideError
from .guard import Guard
from .register import Wire

__all__ = ["PAGE_FILES", "make_app"]

#: Everything that is served beside the answers: path, file in the package, kind. No other path leads anywhere.
PAGE_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/vet.css": ("vet.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in ("vet", "server", "draw", "view")},
}

_KEY = r"^[A-Za-z0-9:_-]{8,80}$"


class Posted(BaseModel):
    """A vote as it comes in; see `realbogus.vetting.register.Wire`."""

    key: str = Field(pattern=_KEY)
    id: str = Field(default="", max_length=500)
    show: str = Field(default="", max_length=40)
    vote: Literal["real", "bogus", "unsure", ""] = ""
    undo: str | None = Field(default=None, pattern=_KEY)
    seconds: Annotated[FiniteFloat, Field(ge=0)] | None = None


class Batch(BaseModel):
    """Votes in the order in which they were given."""

    votes: list[Posted] = Field(min_length=1, max_length=500)


def make_app(booth: Booth, token: str, *, hosts: tuple[str, ...] = ()) -> Guard:
    """Return the application, its guard before it.

    Parameters
    ----------
    booth : Booth
        What is asked.
    token : str
        Of the session; every question needs it, in `X-Realbogus-Token`.
    hosts : tuple of str
        Names of this computer beside its addresses and `localhost`.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # those pages would load from elsewhere

    def file(name: str, kind: str) -> Any:
        content = (resources.files("realbogus.vetting") / "page" / name).read_bytes()
        return lambda: Response(content, media_type=kind)

    for path, (name, kind) in PAGE_FILES.items():
        app.add_api_route(path, file(name, kind), methods=["GET", "HEAD"])

    @app.get("/api/alive")
    def alive() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/api/session")
    def session(request: Request, order: str | None = None) -> Any:
        return JSONResponse(booth.session(request.state.vetter, order))

    @app.get("/api/page")
    def page(request: Request, start: int, order: str | None = None) -> Any:
        return JSONResponse(booth.page(request.state.vetter, start, order))

    @app.get("/api/sheet")
    def sheet(rows: Annotated[str, Query(max_length=4000)], stretch: str = "asinh") -> Response:
        if not re.fullmatch(r"\d{1,9}(,\d{1,9})*", rows):
            raise HTTPException(404, "rows are whole numbers with commas between")
        picture = booth.sheet([int(row) for row in rows.split(",")], stretch)
        return Response(picture, media_type="image/png")

    @app.post("/api/votes")
    def votes(request: Request, batch: Batch) -> Any:
        wires = [Wire(**posted.model_dump()) for posted in batch.votes]
        if any(wire.undo is None and not wire.vote for wire in wires):
            raise HTTPException(422, "a vote is real, bogus or unsure")
        taken, refused = booth.register.cast(request.state.vetter, wires)
        status = 200 if taken else 404 if "no such stamp in this set" in refused.values() else 409
        return JSONResponse({"taken": taken, "refused": refused}, status_code=status)

    @app.exception_handler(InputError)
    def wrong(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=404 if isinstance(error, OutsideError) else 400)

    @app.exception_handler(OutputError)
    def full(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=507)

    return Guard(app, token, booth.settings.vetters, hosts)
