"""What an image costs, stage by stage, where that was measured, and with what."""

from typing import Literal

from nightglass.records import Record

#: What grows with an image's pixels; the network sees every image in the same size.
_BY_PIXELS = ("wait", "decode")


class StageCosts(Record):
    """Measured costs on one machine; seconds are those of a task that has all ``cores`` to itself.

    ``stage_shares`` are shares of the computing threads' time in ``shard_seconds`` and sum to 1.
    """

    source: Literal["nights", "measured", "table"]
    told: str  # where they are from, for people
    device: str
    cores: int
    images: int  # that they were measured on
    megapixels: float
    image_bytes: float
    list_seconds: float  # an image, by the one task that lists
    shard_seconds: float  # an image, in a shard's task
    stage_shares: dict[str, float]
    load_seconds: float  # a shard's task, before its first image; 0 where shard_seconds has it in it
    finish_seconds: float  # once: the top anomalies' pictures and maps
    row_bytes: float  # an image: its rows of manifest and scores, and its embedding
    picture_bytes: float  # a top anomaly

    def at(self, megapixels: float | None, image_bytes: float | None) -> "StageCosts":
        """Return the costs for images of another size.

        Reading, hashing and decoding grow with the pixels; network and search do not. That is a little too much for
        larger images and too little for smaller ones, as each image has a fixed part too.
        """
        if megapixels is None or megapixels == self.megapixels:
            return self if image_bytes is None else self.model_copy(update={"image_bytes": image_bytes})
        ratio = megapixels / self.megapixels
        seconds = {
            stage: self.shard_seconds * share * (ratio if stage in _BY_PIXELS else 1.0)
            for stage, share in self.stage_shares.items()
        }
        total = sum(seconds.values())
        return self.model_copy(
            update={
                "megapixels": megapixels,
                "image_bytes": self.image_bytes * ratio if image_bytes is None else image_bytes,
                "list_seconds": self.list_seconds * ratio,
                "shard_seconds": total,
                "stage_shares": {stage: spent / total for stage, spent in seconds.items()},
            }
        )

    def with_cores(self, cores: int) -> "StageCosts":
        """Return the costs of a task with another number of cores: every stage shares its images out among them."""
        ratio = self.cores / cores
        return self.model_copy(
            update={
                "cores": cores,
                "list_seconds": self.list_seconds * ratio,
                "shard_seconds": self.shard_seconds * ratio,
            }
        )

    def read_at(self, bytes_per_second: float) -> "StageCosts":
        """Return the costs where a task reads so many bytes a second from the store, and waits for what it lacks."""
        reading = self.image_bytes / bytes_per_second
        waiting = max(0.0, reading - self.shard_seconds)
        total = self.shard_seconds + waiting
        shares = {stage: share * self.shard_seconds / total for stage, share in self.stage_shares.items()}
        return self.model_copy(
            update={
                "list_seconds": max(self.list_seconds, reading),
                "shard_seconds": total,
                "stage_shares": shares | {"wait": shares.get("wait", 0.0) + waiting / total},
            }
        )


def share_stages(seconds: dict[str, float]) -> dict[str, float]:
    """Return the shares of the computing threads' stages; of nothing, decoding has it all."""
    from nightglass.engine.stage_times import WORKING_STAGES

    working = {stage: seconds.get(stage, 0.0) for stage in WORKING_STAGES}
    total = sum(working.values())
    return {stage: spent / total for stage, spent in working.items()} if total else {"decode": 1.0}
