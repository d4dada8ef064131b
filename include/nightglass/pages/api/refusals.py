"""How the API says no: always one line of JSON."""

from typing import Any

from pydantic import BaseModel, Field

_MEANINGS = {
    401: "Nobody is signed in",
    403: "Without the right to read the collection, or there is no such one",
    404: "There is no such night",
    408: "The image came too slowly",
    409: "There is no champion yet, or the night is being scored again",
    413: "More than 25 MiB",
    415: "Another Content-Type than that of an image",
    422: "A value or an image that is not what it should be",
    503: "Nightglass cannot answer now; Retry-After says when to ask again, where it is known",
}


class Refusal(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="one line: what was expected, and what came")


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return for the document what a route may answer beside its result; 401 and 403 are added to ``codes``."""
    return {code: {"model": Refusal, "description": _MEANINGS[code]} for code in sorted({401, 403, *codes})}
