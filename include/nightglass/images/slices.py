"""Slices: parts of a night that models are compared on, named by what an image's path says."""

import re


def slices_of(path: str, pattern: str | None) -> tuple[str, ...]:
    """Return the slices of an image, such as ``("camera=left",)``.

    Args:
        path: The image's path below its night's folder.
        pattern: Regular expression with named groups, searched in the path; None: there are no slices.
    """
    found = re.search(pattern, path) if pattern else None
    return tuple(f"{name}={value}" for name, value in found.groupdict().items() if value) if found else ()
