"""Trains one stage of one candidate: the subtask that a worker runs."""

from __future__ import annotations

import os
import pickle
import threading
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from socket import gethostname
from typing import Any

from pydantic import BaseModel, ConfigDict

from pupila.digest import digest_json
from pupila.keras_files import import_keras, import_tensorflow
from pupila.runtime import Progress
from pupila.store import write_atomically
from pupila.threads import model_threads
from pupila.training.batches import Images, all_in_order, epoch_batches
from pupila.training.checkpoint import Checkpoint, TrainingHistory
from pupila.training.fitting import train
from pupila.training.schedule import Schedule
from pupila_search.building import freeze_first, load, weights_of
from pupila_search.candidates import CandidateMetrics, read_weights, write_weights
from pupila_search.genome import Genome
from pupila_search.latency import latency_ms
from pupila_search.trainee import Trainee
from pupila_search.training_targets import TrainingTargets

keras = import_keras()

_WATCH_SECONDS = 1


class SubTask(BaseModel):
    """One stage of training of one candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    genome: Genome
    folder: Path
    stage: str
    source: Path
    """File of the weights to start from."""
    schedule: Schedule
    seed: int
    frozen: bool = False
    """Whether the first half of the blocks is frozen."""
    latency_ms: float | None = None
    """The latency if it was measured before; None otherwise."""
    last: bool = True
    """Whether at most fine-tuning follows this stage. Latency is measured only then."""


@dataclass(frozen=True)
class TargetsFile:
    """The file of training targets, in a folder that all workers can read."""

    path: Path
    digest: str
    """Digest of the targets. It is needed because another search may write to the same path."""

    @classmethod
    def of(cls, targets: TrainingTargets, folder: Path) -> TargetsFile:
        """Write targets into a folder, and return the file."""
        path = folder / "targets.pickle"
        write_atomically(path, pickle.dumps(targets))
        return cls(path, targets.digest)


def start_worker(parent: int) -> None:
    """Prepare a worker process, which exits when the process with the id `parent` has ended.

    The number of threads does not depend on the number of workers; otherwise a candidate's result
    would depend on how many candidates train at the same time.
    """
    threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()
    tf = import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(model_threads())
    tf.config.threading.set_inter_op_parallelism_threads(1)


def train_stage(subtask: SubTask, file: TargetsFile) -> CandidateMetrics:
    """Train one stage, write the weights of its best epoch, and return its metrics.

    `ended_seconds` is 0 in these metrics; the search sets it. A killed stage resumes after its last
    finished epoch.

    Raises:
        PupilaError: the loss is no longer finite.
    """
    (targets, images, validation), started = _open(file), time.monotonic()
    keras.utils.clear_session()
    keras.utils.set_random_seed(subtask.seed)
    model = targets.build(subtask.genome)
    load(model, read_weights(subtask.source))
    latency = subtask.latency_ms or (latency_ms(model) if subtask.last else None)
    if subtask.frozen:
        freeze_first(model, subtask.genome)
    history, wrong = _fit(model, subtask, targets, images, validation)
    write_weights(subtask.folder / f"{subtask.stage}.npz", weights_of(model))
    (subtask.folder / "training.npz").unlink(missing_ok=True)
    best = history.epochs[history.best_epoch]
    return CandidateMetrics(
        stage=subtask.stage,
        epochs=len(history.epochs),
        validation_loss=best["val_loss"],
        validation_accuracy=(len(validation) - len(wrong)) / len(validation),
        wrong=wrong,
        latency_ms=latency,
        seconds=time.monotonic() - started,
        ended_seconds=0.0,
        validation_fidelity=best.get("val_fidelity"),
    )


def train_stage_remotely(
    *, progress: Progress, subtask: dict[str, Any], targets: str, digest: str
) -> dict[str, Any]:
    """Train one stage on a machine of a cluster; return its metrics as JSON.

    `subtask` is a `SubTask` as JSON. `targets` and `digest` are the path and the digest of a
    `TargetsFile`. Returns `{"failed": reason}` instead if the candidate cannot be trained, and
    `{"broken": errno, "reason": reason}` if the machine cannot read or write.
    """
    progress(0, 1, "training")
    try:
        file = TargetsFile(Path(targets), digest)
        return asdict(train_stage(SubTask.model_validate(subtask), file))
    except OSError as error:
        return {"broken": error.errno, "reason": f"on {gethostname()}, {error}"}
    except MemoryError:
        raise
    except Exception as error:
        return {"failed": describe_failure(error)}


def describe_failure(error: Exception) -> str:
    """Return the reason why a candidate could not be trained, as text."""
    return f"{type(error).__name__}: {error}"


def _fit(
    model: Any, subtask: SubTask, targets: TrainingTargets, images: Images, validation: Images
) -> tuple[TrainingHistory, tuple[int, ...]]:
    """Train a model; return its history, and the validation rows that its best epoch gets wrong."""
    steps = len(epoch_batches(images, 0, subtask.seed, subtask.schedule.batch_size))
    right = targets.training.right()
    trainee = Trainee(model, targets.loss, images, subtask.schedule, steps, right)
    settings = [
        subtask.genome.model_dump(mode="json"),
        subtask.stage,
        subtask.schedule.model_dump(),
        subtask.seed,
    ]
    checkpoint = Checkpoint(
        subtask.folder / "training.npz", digest_json([targets.digest, *settings])
    )
    history = train(
        trainee,
        images,
        validation,
        subtask.schedule,
        subtask.seed,
        checkpoint,
        _ignore_progress,
        targets.altered_for(model),
    )
    return history, trainee.wrong(all_in_order(validation, subtask.schedule.batch_size))


@cache
def _open(file: TargetsFile) -> tuple[TrainingTargets, Images, Images]:
    """Read targets and open training and validation images, once per worker."""
    targets: TrainingTargets = pickle.loads(file.path.read_bytes())  # noqa: S301 - the search wrote it
    return targets, targets.training_images(), targets.validation_images()


def _ignore_progress(done: int, total: int, what: str) -> None:
    """Ignore the progress within a stage: the search reports finished stages."""


def _exit_with(parent: int) -> None:
    """Exit this process when its parent was killed, instead of training on."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
