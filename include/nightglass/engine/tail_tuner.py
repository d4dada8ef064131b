"""Tune the tail of a network: a linear head tells good images from defects, and features stay near the old ones."""

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

from nightglass.detector.memory_bank import MemoryBank, Standardization
from nightglass.detector.split_network import copy_tail
from nightglass.engine.finetuning_batches import DRAWN, GOOD, LABELLED, Floats, TuningBatch

_HEAD_LEARNING_RATE = 1e-3
_EPSILON = 1e-12  # the root of a variance has no finite slope at 0
_LEAST_DEVIATION = 1e-6
_AT_ONCE = 32


class TailTuner:
    """A tail that is being tuned, and the frozen one that it began as.

    BatchNorm's statistics stay as they are, as both are in evaluation mode.

    Args:
        tail: Where it begins; is not changed.
        bank_maps: The tail's input ``(N, C, h, w)`` for the good images that it is tuned on.
        learning_rate: Of the tail; the head's own is fixed.
        closeness: Weight of the squared distance to the frozen features, in deviations of the good images.
        device: Computes in bf16 with f32 weights on CUDA. On a CPU bf16 takes longer than f32.
    """

    def __init__(
        self,
        tail: nn.Sequential,
        bank_maps: Floats,
        *,
        learning_rate: float,
        closeness: float,
        device: Literal["cpu", "cuda"],
    ) -> None:
        self._device, self._closeness, self._bank_maps = device, closeness, bank_maps
        self._frozen = copy_tail(tail).to(device).requires_grad_(requires_grad=False)
        self.tail = copy_tail(tail).to(device).requires_grad_()
        features = self.features(bank_maps)
        deviation = features.std(axis=0)
        deviation[deviation < _LEAST_DEVIATION] = np.inf
        self._mean = torch.from_numpy(features.mean(axis=0)).to(device)
        self._deviation = torch.from_numpy(deviation).to(device)
        self._head = nn.Linear(features.shape[1], 1).to(device)
        for parameter in self._head.parameters():
            nn.init.zeros_(parameter)
        groups = [
            {"params": list(self.tail.parameters()), "lr": learning_rate},
            {"params": list(self._head.parameters()), "lr": _HEAD_LEARNING_RATE},
        ]
        self._kept: dict[str, Tensor] = {}
        self._optimizer = torch.optim.AdamW(groups, weight_decay=0.0)

    @property
    def kept_weights(self) -> dict[str, Tensor]:
        """Weights at the last `keep_weights`."""
        return self._kept

    def keep_weights(self) -> None:
        """Remember the tail's weights as they are now."""
        self._kept = {name: values.detach().cpu().clone() for name, values in self.tail.state_dict().items()}

    def learn(self, batches: Iterable[TuningBatch]) -> float:
        """Take one step a batch and return the mean loss; not finite where it diverged."""
        losses = []
        for batch in batches:
            loss = self._loss(self._send(batch.maps), torch.from_numpy(batch.kinds).to(self._device))
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    def features(self, maps: Floats) -> Floats:
        """Return the pooled features ``(N, 3C')`` of the tail's inputs ``(N, C, h, w)``."""
        with torch.no_grad():
            parts = [self._pooled(self.tail, self._send(part)).cpu().numpy() for part in _cut(maps)]
        return np.concatenate(parts)

    def distances(self, groups: Iterable[Floats], num_neighbors: int) -> list[Floats]:
        """Return the mean distance ``(N,)`` of each group's images to their nearest good ones, as a detector has it.

        NaN where the weights have diverged.
        """
        features = self.features(self._bank_maps)
        if not np.isfinite(features).all():
            return [np.full(len(maps), np.nan, np.float32) for maps in groups]
        standardization = Standardization.of(features)
        bank = MemoryBank.build(standardization.apply(features))
        return [
            bank.search(standardization.apply(self.features(maps)), num_neighbors)[0].mean(axis=1) for maps in groups
        ]

    def _loss(self, maps: Tensor, kinds: Tensor) -> Tensor:
        new = self._standardize(self._pooled(self.tail, maps))
        with torch.no_grad():
            old = self._standardize(self._pooled(self._frozen, maps))
        each = F.binary_cross_entropy_with_logits(self._head(new)[:, 0], (kinds != GOOD).float(), reduction="none")
        kinds_of_defects = [each[kinds == kind].mean() for kind in (DRAWN, LABELLED) if bool((kinds == kind).any())]
        told = each[kinds == GOOD].mean() + torch.stack(kinds_of_defects).mean()
        return told + self._closeness * F.mse_loss(new, old)

    def _standardize(self, features: Tensor) -> Tensor:
        return (features - self._mean) / self._deviation

    def _pooled(self, tail: nn.Sequential, maps: Tensor) -> Tensor:
        """Average, deviation and maximum over places, as the detector's embedding has them."""
        with torch.autocast(self._device, torch.bfloat16, enabled=self._device == "cuda"):
            out = tail(maps)
        out = out.float()
        average = out.mean((2, 3))
        variance = ((out - average[:, :, None, None]) ** 2).mean((2, 3))
        return torch.cat([average, (variance + _EPSILON).sqrt(), out.amax((2, 3))], dim=1)

    def _send(self, maps: Floats) -> Tensor:
        return torch.from_numpy(maps).to(self._device).contiguous(memory_format=torch.channels_last)


def _cut(maps: Floats) -> Iterator[Floats]:
    for start in range(0, len(maps), _AT_ONCE):
        yield maps[start : start + _AT_ONCE]
