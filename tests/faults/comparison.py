"""What a night left, row by row, in a form that two nights of the same images can be compared in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import pyarrow.parquet as pq
from sqlalchemy import create_engine, text

from nightglass.storage import Folder

#: What names the collection or the moment, and nothing of what was found.
_OWN = {"collection", "published_at", "report_url", "at", "compute_seconds", "cost", "currency", "price_per_hour"}
VIEWS = ("nights", "top_anomalies", "decisions")


@dataclass(frozen=True)
class Left:
    """What a night left.

    Attributes:
        files: Names of all files of its folder.
        scores: Rows of scores.parquet.
        quarantine: Rows of quarantine.parquet.
        top: top_anomalies.json.
        vectors: Vectors of embeddings.faiss ``(N, D)``, row i belonging to row i of the scores, as nested lists.
        rows: Rows of each view, without what names the collection or the moment.
    """

    files: list[str]
    scores: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]
    top: dict[str, Any]
    vectors: list[list[float]]
    rows: Mapping[str, list[dict[str, Any]]]

    @classmethod
    def read(cls, folder: Folder, database_url: str, collection: str, night: str) -> "Left":
        """Read what a night of a collection left in its folder and in the results database."""
        with folder.as_local("embeddings.faiss") as path:
            index = faiss.read_index(str(path))
        vectors = index.reconstruct_n(0, index.ntotal) if index.ntotal else np.empty((0, index.d))
        return cls(
            files=sorted(folder.files("")),
            scores=_rows(folder, "scores.parquet"),
            quarantine=_rows(folder, "quarantine.parquet"),
            top=json.loads(folder.read_bytes("top_anomalies.json")),
            vectors=vectors.tolist(),
            rows={view: _select(database_url, view, collection, night) for view in VIEWS},
        )

    def check(self) -> None:
        """Make sure that nothing in it is doubled or half-written."""
        paths = [row["path"] for row in self.scores + self.quarantine]
        assert len(paths) == len(set(paths)), "an image is there twice"
        assert len(self.vectors) == len(self.scores), "the index has other rows than the scores"
        assert [len(self.rows[view]) for view in ("nights", "decisions")] == [1, 1]
        temporary = [name for name in self.files if name.split("/")[0] in {".shards", ".results"} or ".writing" in name]
        assert not temporary, f"left behind: {temporary}"


def assert_same(disturbed: Left, undisturbed: Left) -> None:
    """Compare two nights of the same images, row by row."""
    disturbed.check()
    assert disturbed.scores == undisturbed.scores
    assert disturbed.quarantine == undisturbed.quarantine
    assert disturbed.top == undisturbed.top
    assert disturbed.vectors == undisturbed.vectors
    for view in VIEWS:
        assert disturbed.rows[view] == undisturbed.rows[view], view
    assert disturbed.files == undisturbed.files


def _rows(folder: Folder, name: str) -> list[dict[str, Any]]:
    with folder.as_local(name) as path:
        return pq.ParquetFile(path).read().to_pylist()  # type: ignore[no-any-return]


def _select(database_url: str, view: str, collection: str, night: str) -> list[dict[str, Any]]:
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    wanted = {"collection": collection, "night": night}
    statement = text(f"SELECT * FROM {view} WHERE collection = :collection AND night = :night")
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(statement, wanted).mappings()]
    engine.dispose()
    kept = [{name: value for name, value in row.items() if name not in _OWN} for row in found]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True, default=str))
