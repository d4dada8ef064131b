"""Where costs come from: a collection's nights, else this machine, else the table; the answer says which."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from nightglass.capacity.machines import MACHINES
from nightglass.capacity.stage_costs import StageCosts
from nightglass.collections import Device
from nightglass.errors import InputError, ModelError

Source = Literal["nights", "measured", "table"]


def find_costs(
    *,
    file: Path | None,
    source: Source | None,
    megapixels: float | None,
    image_bytes: float | None,
    device: Device,
    cores: int | None,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[StageCosts, list[str]]:
    """Return the costs of an image of this size, and what is to be said of where they are from.

    Args:
        file: A collection's file; its nights come first.
        source: The only source that is wanted; None: the first that there is.
        megapixels: Of each image; None: as in the collection's nights.
        image_bytes: Of each file; None: as they were measured.
        device: What runs the network.
        cores: That are asked for of a task; None: as many as the costs were measured on.
        storage_options: Credentials of remote folders.

    Raises:
        InputError: There are no costs from there, or nobody says how large the images are.
        ModelError: This machine was to be measured, and cannot be.
    """
    notes: list[str] = []
    if source in {None, "nights"} and file is not None:
        from nightglass.capacity.nights import costs_of_nights

        found = costs_of_nights(file, storage_options)
        if found:
            return found.at(megapixels, image_bytes), [*notes, *_note_scaling(found, megapixels, cores)]
        notes.append(f"no night of {file.stem} was measured yet")
    if source == "nights":
        raise InputError("--source nights: expected a --collection with a night that was measured, got none")
    if megapixels is None:
        raise InputError("--megapixels: expected how large the images are, got nothing and no night to take it from")
    if source in {None, "measured"}:
        try:
            from nightglass.capacity.measuring import measure_costs
            from nightglass.engine.stage_times import count_workers

            found = measure_costs(megapixels, device=device, cores=count_workers())
            return found.at(None, image_bytes), [*notes, *_note_scaling(found, None, cores)]
        except ModelError as error:
            if source:
                raise
            notes.append(f"this machine could not be measured: {error}")
    found = _look_up(megapixels, device, notes)
    return found.at(megapixels, image_bytes), [*notes, *_note_scaling(found, megapixels, cores)]


def _look_up(megapixels: float, device: Device, notes: list[str]) -> StageCosts:
    known = [costs for costs in MACHINES if (costs.device == "cuda") == (device == "cuda")]
    if not known:
        why = f" ({'; '.join(notes)})" if notes else ""
        raise InputError(f"--device {device}: expected one of this machine or of the table, got none{why}")
    return min(known, key=lambda costs: abs(math.log(costs.megapixels / megapixels)))


def _note_scaling(costs: StageCosts, megapixels: float | None, cores: int | None) -> list[str]:
    notes = []
    if megapixels is not None and not 0.8 < megapixels / costs.megapixels < 1.25:
        notes.append(
            f"measured on images of {costs.megapixels:.2g} megapixels: reading and decoding grow with the pixels"
        )
    if cores not in {None, costs.cores}:
        notes.append(f"measured on {costs.cores} cores: every core counts the same")
    return notes
