"""What Schemathesis sends as a body; loaded by it in a process of its own."""

from __future__ import annotations

import schemathesis
from http_kit import alerts, fits_file, npy, stamp
from hypothesis import strategies as st

from realbogus.serving.http.bodies import MEDIA_TYPES

_WHOLE = (npy(stamp()), fits_file(stamp()), alerts(1))


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A body that was whole before some of its bytes were changed, or its end was lost."""
    data = bytearray(draw(st.sampled_from(_WHOLE)))
    for _ in range(draw(st.integers(0, 4))):
        # most of what is read with care stands at the begin
        place = draw(st.integers(0, 400) | st.integers(0, len(data) - 1))
        data[min(place, len(data) - 1)] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])


for media in MEDIA_TYPES:
    schemathesis.openapi.media_type(media, st.sampled_from(_WHOLE) | _damaged() | st.binary(max_size=300))
