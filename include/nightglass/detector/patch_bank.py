"""The patch memory bank: what places of good images look like, for anomaly maps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightglass.detector.memory_bank import MemoryBank, Standardization

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PatchBank:
    """Places of good images as ``(P, C)``; ``usual_distance`` is the largest one seen in held-out good images."""

    standardization: Standardization
    bank: MemoryBank
    usual_distance: float

    def anomaly_map(self, patches: Floats) -> Floats:
        """Return the map ``(h, w)`` of patches ``(C, h, w)``; 1 is as unusual as good images ever get."""
        return self.distances(patches) / self.usual_distance

    def distances(self, patches: Floats) -> Floats:
        """Return the distance ``(h, w)`` of every place of ``patches (C, h, w)`` to its nearest good place."""
        channels, height, width = patches.shape
        rows = self.standardization.apply(patches.reshape(channels, -1).T)
        distances, _ = self.bank.search(rows, 1)
        return distances[:, 0].reshape(height, width)


def build_patch_bank(samples: Floats, held_out: list[Floats]) -> PatchBank:
    """Build from sampled places ``(P, C)`` and calibrate on whole held-out good images ``(C, h, w)`` each."""
    standardization = Standardization.of(samples)
    bank = MemoryBank.build(standardization.apply(samples))
    raw = PatchBank(standardization, bank, 1.0)
    usual = max((float(raw.distances(patches).max()) for patches in held_out), default=1.0)
    return PatchBank(standardization, bank, max(usual, 1e-6))
