"""Part of a collection's file: for how long what belongs to a night is kept."""

from typing import Annotated

from pydantic import Field, model_validator

from nightglass.collection_parts import Section

Days = Annotated[int, Field(ge=1, le=36_500)]


class Retention(Section):
    """Days after a night for which its files are kept; null: for ever. What was decided and its rows always are.

    A night that something still needs is kept longer, and the log says why.
    """

    pictures_days: Days | None = Field(365, description="pictures and anomaly maps, in the report and in MLflow too")
    embeddings_days: Days | None = Field(180, description="the index that search and retraining look into")
    scores_days: Days | None = Field(None, description="scores, manifest and quarantine; embeddings go no later")
    unfinished_days: Days = Field(7, description="what runs that were given up left behind")
    keep_judged: bool = Field(True, description="the pictures of a night whose images have verdicts stay")

    @model_validator(mode="after")
    def _check_order(self) -> "Retention":
        last, embeddings = self.scores_days, self.embeddings_days
        if last is not None and (embeddings is None or embeddings > last):
            raise ValueError(
                f"embeddings_days: expected at most scores_days, {last}, as embeddings are of no use without scores, "
                f"got {embeddings}"
            )
        return self
