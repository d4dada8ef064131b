"""Fine-tune the deepest stage of a backbone on a challenger's training images, and keep what helps on held-out ones."""

import copy
import logging
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nightglass.collections import Collection
from nightglass.detector.backends import Backend, OpenVINOBackend, takes_cuda
from nightglass.detector.finetuning_record import Epoch, Finetuning
from nightglass.engine.decoded_images import decode_images
from nightglass.engine.finetuning_batches import Floats, TuningImages, embed_maps, make_batches
from nightglass.engine.torch_alone import THREADS, torch_alone
from nightglass.engine.training import TrainingImages
from nightglass.errors import ModelError
from nightglass.storage import Folder, Folders

if TYPE_CHECKING:
    from nightglass.detector.network import EmbeddingNetwork
    from nightglass.detector.split_network import Trunk
    from nightglass.engine.tail_tuner import TailTuner

_log = logging.getLogger(__name__)
#: A fifth is held out, and a fit calibrates on at least ten.
LEAST_GOOD_IMAGES = 50
_MOST_GOOD_IMAGES, _MOST_DEFECTS = 1000, 500
_MOST_BYTES = 192 * 1024 * 1024  # of decoded good images and what the tail takes of them; half as many of defects
# Chosen by measurement, docs/adr/0011-fine-tuning.md.
_LEARNING_RATE = 3e-4
_CLOSENESS = 0.3
_MAX_EPOCHS = 6
_PATIENCE = 2
_LEAST_GAIN = 0.002
_BATCH_IMAGES = 32


@dataclass(frozen=True)
class Finetuned:
    """What was done, and the sha256 of the good images that the weights learned from: not to be calibrated on."""

    record: Finetuning
    learned_from: frozenset[str]


def finetune(
    network: "EmbeddingNetwork",
    images: Folder | Folders,
    training: TrainingImages,
    collection: Collection,
    workers: int,
) -> Finetuned:
    """Tune the deepest stage that the detector uses; ``network`` has the weights of the best epoch afterwards.

    The weights as they were are epoch 0, and stay where nothing gains. The same images, options and code give the same
    weights on the same kind of processor, whatever the number of ``workers``.

    Args:
        network: In evaluation mode, with the weights that the collection's file names.
        images: The folder of the images.
        training: Good images and labelled defects.
        collection: Its detector and reading options.
        workers: Threads that decode.

    Raises:
        ModelError: The network cannot be divided, or too few good images can be decoded.
    """
    from nightglass.detector.split_network import split_network
    from nightglass.engine.tail_tuner import TailTuner

    options = collection.detector
    trunk, tail = split_network(network)
    is_on_cuda = takes_cuda(collection.scoring.device)
    with torch_alone(), tempfile.TemporaryDirectory(prefix="nightglass-") as work:
        backend = _open_trunk(trunk, options.backbone.image_size, Path(work), is_on_cuda=is_on_cuda)
        tuned = _gather(images, training, collection, workers, backend)
        _log.info(
            "fine-tuning stage %d of %s on %d good images and %d labelled defects, with %d good images held out",
            network.used[-1], options.backbone.name, len(tuned.good), len(tuned.defects), len(tuned.held_out_good),
        )  # fmt: skip
        tuner = TailTuner(
            tail,
            embed_maps(tuned.good, backend),
            learning_rate=_LEARNING_RATE,
            closeness=_CLOSENESS,
            device="cuda" if is_on_cuda else "cpu",
        )
        epochs, best = _run_epochs(tuner, tuned, backend, collection)
        if best:
            tail.load_state_dict(tuner.kept_weights)
    done = _record(tuned, epochs, best, network.used[-1], options.seed, is_on_cuda=is_on_cuda)
    _log.info("fine-tuning done: %s", _tell_end(done))
    return Finetuned(done, tuned.learned_from if best else frozenset())


def _record(
    images: TuningImages, epochs: list[Epoch], best: int, stage: int, seed: int, *, is_on_cuda: bool
) -> Finetuning:
    return Finetuning(
        stage=stage,
        good_images=len(images.good),
        labelled_defects=len(images.defects),
        held_out_images=len(images.held_out_good) + len(images.held_out_drawn) + len(images.held_out_defects),
        learning_rate=_LEARNING_RATE,
        closeness=_CLOSENESS,
        max_epochs=_MAX_EPOCHS,
        patience=_PATIENCE,
        least_gain=_LEAST_GAIN,
        batch_images=_BATCH_IMAGES,
        seed=seed,
        threads=THREADS,
        arithmetic="bf16" if is_on_cuda else "f32",
        best_epoch=best,
        epochs=epochs,
    )


def _run_epochs(
    tuner: "TailTuner", images: TuningImages, trunk: Backend, collection: Collection
) -> tuple[list[Epoch], int]:
    """Tune until the held-out images gain no more; ``tuner`` keeps the weights of the best epoch, which is returned."""
    random = np.random.default_rng(collection.detector.seed)
    held_out = [embed_maps(part, trunk) for part in (images.held_out_good, images.held_out_drawn)]
    if len(images.held_out_defects):
        held_out.append(embed_maps(images.held_out_defects, trunk))
    neighbors = collection.detector.num_neighbors
    before = _measure(tuner, held_out, neighbors, None)
    if before is None:
        raise ModelError("retraining.adapt: expected a backbone with finite features for 'finetune', got others")
    epochs, best = [before], 0
    _tell_epoch(epochs, best)
    for number in range(1, _MAX_EPOCHS + 1):
        loss = tuner.learn(make_batches(images, trunk, _BATCH_IMAGES, random))
        measured = _measure(tuner, held_out, neighbors, loss)
        if measured is None:
            _log.warning("fine-tuning: epoch %d diverged; the weights of epoch %d stay", number, best)
            break
        epochs.append(measured)
        needed = epochs[best].held_out_auroc + (0.0 if best else _LEAST_GAIN)
        if epochs[number].held_out_auroc > needed:
            best = number
            tuner.keep_weights()
        _tell_epoch(epochs, best)
        if number - best >= _PATIENCE:
            break
    return epochs, best


def _measure(tuner: "TailTuner", held_out: Sequence[Floats], num_neighbors: int, loss: float | None) -> Epoch | None:
    """Return how well held-out defects are found; None where the loss or a distance is no number any more."""
    from sklearn.metrics import roc_auc_score

    if loss is not None and not math.isfinite(loss):
        return None
    good, *defects = tuner.distances(held_out, num_neighbors)
    if not all(np.isfinite(distances).all() for distances in (good, *defects)):
        return None
    found = [
        float(roc_auc_score(np.repeat([0, 1], [len(good), len(some)]), np.concatenate([good, some])))
        for some in defects
    ]
    return Epoch(
        training_loss=loss,
        held_out_auroc=sum(found) / len(found),
        drawn_auroc=found[0],
        labelled_auroc=found[1] if len(found) > 1 else None,
    )


def _gather(
    images: Folder | Folders, training: TrainingImages, collection: Collection, workers: int, trunk: Backend
) -> TuningImages:
    """Decode as many images as the memory is meant to hold; raises ModelError where too few can be."""
    options = collection.detector
    empty = np.zeros((1, options.backbone.image_size, options.backbone.image_size, 3), np.uint8)
    most = max(LEAST_GOOD_IMAGES, _MOST_BYTES // (empty.nbytes + trunk.embed(empty).patches.nbytes))
    random = np.random.default_rng(options.seed)
    good, defects = (
        [rows[i] for i in sorted(random.permutation(len(rows))[:count].tolist())]
        for rows, count in (
            (training.good, min(_MOST_GOOD_IMAGES, most)),
            (training.defects, min(_MOST_DEFECTS, most // 2)),
        )
    )
    decoded, found = decode_images(images, good, collection, workers)
    if len(decoded) < LEAST_GOOD_IMAGES:
        raise ModelError(
            f"retraining.adapt: expected at least {LEAST_GOOD_IMAGES} good images that can be decoded for 'finetune', "
            f"got {len(decoded)}; use 'head'"
        )
    labelled, _ = decode_images(images, defects, collection, workers)
    return TuningImages.divide(decoded, labelled, [row.sha256 for row in found], options.seed)


def _open_trunk(trunk: "Trunk", image_size: int, work: Path, *, is_on_cuda: bool) -> Backend:
    """Return what computes the part of the network that stays, many times faster than torch on a CPU."""
    if is_on_cuda:
        from nightglass.detector.torch_backend import TorchBackend

        return TorchBackend(copy.deepcopy(trunk), "cuda")
    from nightglass.detector.network import export_openvino

    export_openvino(trunk, image_size, work / "trunk.xml")
    # Full precision, as the tail's gradients have; one stream, beside which the tail has a thread.
    return OpenVINOBackend(work / "trunk.xml", 1, "f32")


def _tell_epoch(epochs: Sequence[Epoch], best: int) -> None:
    last = epochs[-1]
    loss = "" if last.training_loss is None else f"loss {last.training_loss:.4f}, "
    labelled = "" if last.labelled_auroc is None else f", labelled {last.labelled_auroc:.4f}"
    _log.info(
        "fine-tuning: epoch %d of at most %d, %sAUROC on held-out images %.4f (drawn %.4f%s), best epoch %d",
        len(epochs) - 1, _MAX_EPOCHS, loss, last.held_out_auroc, last.drawn_auroc, labelled, best,
    )  # fmt: skip


def _tell_end(done: Finetuning) -> str:
    before, after = done.epochs[0].held_out_auroc, done.epochs[done.best_epoch].held_out_auroc
    if not done.best_epoch:
        return f"nothing gained on the AUROC {before:.4f} of held-out images, the weights stay as they were"
    return f"AUROC on held-out images {before:.4f} before, {after:.4f} with the weights of epoch {done.best_epoch}"
