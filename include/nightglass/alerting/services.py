"""Which service does not answer, as the errors say it: the database, MLflow, S3, or a disk."""

import re
from collections.abc import Iterable

DATABASE, MLFLOW, S3, DISK = "the database", "MLflow", "S3", "the disk"
_SIGNS = (
    (MLFLOW, re.compile(r"MLflow|mlflow\.db|https?://")),
    (DATABASE, re.compile(r"postgresql|sqlite:")),
    (S3, re.compile(r"s3://")),
)


def name_service(message: str) -> str:
    """Return the service that the text of a StorageError is about."""
    # The place comes first, and an answer that is quoted after it may name any address.
    place = message.partition(": ")[0]
    for text in (place, message):
        for service, sign in _SIGNS:
            if sign.search(text):
                return service
    return DISK


def services_of(urls: Iterable[str]) -> set[str]:
    """Return the services that have answered when a night with these folders was published."""
    return {DATABASE, MLFLOW} | {S3 if url.startswith("s3://") else DISK for url in urls}
