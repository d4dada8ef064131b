"""Score one image with the champion: for a line that wants an answer now, and for trying a picture out."""

import base64
import io

from fastapi import APIRouter, Query, Request
from PIL import Image
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from nightglass.images.quarantine import QuarantinedError
from nightglass.pages.api.answers import NearImage
from nightglass.pages.api.refusals import refusals
from nightglass.pages.bodies import ImageBody
from nightglass.pages.champion import Look, grey_map, kept_champion
from nightglass.pages.metrics import Predictions
from nightglass.pages.places import find_collection
from nightglass.pages.rights import ReadableCollection
from nightglass.settings import read_settings

router = APIRouter(prefix="/api/collections/{collection}", tags=["predict"])
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file as it is, at most 25 MiB.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "application/octet-stream")
        },
    }
}


class Prediction(BaseModel):
    """What the champion says of the image that was sent."""

    collection: str
    model_name: str
    model_version: str
    image_score: float = Field(description="higher is more anomalous")
    image_threshold: float = Field(description="score at and above which an image is anomalous")
    is_anomalous: bool
    neighbors: list[NearImage] = Field(description="nearest first")
    sha256: str = Field(description="of the file that was sent")
    width: int = Field(description="pixels, upright")
    height: int = Field(description="pixels, upright")
    seconds: float = Field(description="decoding and the model, without waiting")
    anomaly_map: str | None = Field(description="grey PNG in base64; 128 is as unusual as good images hardly ever get")


@router.post("/predict", openapi_extra=_BODY, responses=refusals(408, 409, 413, 415, 422, 503))
def predict(
    request: Request,
    collection: ReadableCollection,
    data: ImageBody,
    *,
    map: bool = Query(False, description="also return the anomaly map"),  # noqa: A002  its name in the address
) -> Prediction:
    """Score one image with the collection's champion, by the same code as a night; nothing is written.

    The image is the body of the request, raw. It needs the right to read the collection. Another site's page cannot
    send it with somebody's session: see `read_image_body`.

    Raises:
        HTTPException: 409: there is no champion yet; 422: it is no image that a night would score.
    """
    counted: Predictions = request.app.state.predictions
    known = find_collection(collection, read_settings())
    with counted.measure(collection):
        champion = kept_champion(request, known)
        try:
            look = champion.look_at(data, "", with_map=map)
        except QuarantinedError as error:
            raise HTTPException(
                422, f"expected an image that can be scored, got {error.reason}: {error.detail}"
            ) from error
    return _tell(collection, champion.model_name, look)


def _tell(collection: str, model_name: str, look: Look) -> Prediction:
    return Prediction(
        collection=collection,
        model_name=model_name,
        model_version=look.version,
        image_score=look.image_score,
        image_threshold=look.image_threshold,
        is_anomalous=look.is_anomalous,
        neighbors=[NearImage(path=near.path, distance=near.distance) for near in look.neighbors],
        sha256=look.sha256,
        width=look.width,
        height=look.height,
        seconds=round(look.seconds, 6),
        anomaly_map=None if look.anomaly_map is None else _encode_map(look),
    )


def _encode_map(look: Look) -> str:
    assert look.anomaly_map is not None  # noqa: S101  the caller looked
    buffer = io.BytesIO()
    Image.fromarray(grey_map(look.anomaly_map)).save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
