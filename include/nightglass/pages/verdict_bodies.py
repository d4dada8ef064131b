"""What the page of a night sends when somebody gives a verdict or takes one back."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SliceName = Annotated[str | None, Field(min_length=1, max_length=500)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GivenVerdict(_Body):
    """What somebody says of a top anomaly; ``sha256`` is that of the image that the page showed them."""

    rank: int = Field(ge=1, le=1000)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    verdict: Literal["defect", "normal", "unsure"]
    note: str = Field("", max_length=1000)


class BulkVerdict(_Body):
    """What somebody says of a slice, or of the whole night where ``slice`` is None.

    ``images`` is how many images they were told that it is about, ``seen`` the newest entry of the log when the page
    was made: what others said after it they have not seen.
    """

    slice: SliceName = None
    verdict: Literal["defect", "normal", "unsure"]
    note: str = Field(min_length=1, max_length=1000, pattern=r"\S")
    images: int = Field(ge=0)
    seen: int = Field(ge=0, lt=2**63)


class TakenBack(_Body):
    """Which verdict somebody takes back: the one that the page names as their last."""

    entry: int = Field(ge=1, lt=2**63)
