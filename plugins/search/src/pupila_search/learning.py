"""Trains one stage of one candidate; this is what workers do."""

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
from pupila_search.building import build, freeze_first, load, weights_of
from pupila_search.candidates import CandidateMetrics, read_weights, write_weights
from pupila_search.genome import Genome
from pupila_search.latency import latency_ms
from pupila_search.trainee import Trainee
from pupila_search.training_targets import Lesson

keras = import_keras()

_WATCH_SECONDS = 1


class Task(BaseModel):
    """One stage of one candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    genome: Genome
    folder: Path
    stage: str
    source: Path
    """Weights to start from."""
    schedule: Schedule
    seed: int
    frozen: bool = False
    """Whether the first half of the blocks stays as it is."""
    latency_ms: float | None = None
    """As measured before."""
    last: bool = True
    """Whether no other stage follows: only then is it worth measuring the latency."""


@dataclass(frozen=True)
class LessonFile:
    """Where a lesson lies, for processes that see the folder."""

    path: Path
    digest: str
    """Of the lesson: another search writes another into the same place."""

    @classmethod
    def of(cls, lesson: Lesson, folder: Path) -> LessonFile:
        """Write a lesson into a folder."""
        path = folder / "lesson.pickle"
        write_atomically(path, pickle.dumps(lesson))
        return cls(path, lesson.digest)


def begin(parent: int) -> None:
    """Prepare a worker, which ends when the process `parent` has.

    However many work side by side, each computes with as many threads: a candidate would else
    depend on the others.
    """
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    tf = import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(model_threads())
    tf.config.threading.set_inter_op_parallelism_threads(1)


def learn(task: Task, file: LessonFile) -> CandidateMetrics:
    """Train a stage, write the weights of its best epoch, and return what it gave.

    `ended_seconds` is left to whoever has the clock. A stage that was killed goes on after the last
    epoch that it ended.

    Raises:
        PupilaError: the loss is no longer a number.
    """
    (lesson, images, judged), started = _opened(file), time.monotonic()
    keras.utils.clear_session()
    keras.utils.set_random_seed(task.seed)
    model = build(task.genome, lesson.config.input, len(lesson.train.classes))
    load(model, read_weights(task.source))
    latency = task.latency_ms or (latency_ms(model) if task.last else None)
    if task.frozen:
        freeze_first(model, task.genome)
    course, wrong = _fitted(model, task, lesson, images, judged)
    write_weights(task.folder / f"{task.stage}.npz", weights_of(model))
    (task.folder / "training.npz").unlink(missing_ok=True)
    best = course.epochs[course.best_epoch]
    return CandidateMetrics(
        stage=task.stage,
        epochs=len(course.epochs),
        validation_loss=best["val_loss"],
        validation_accuracy=(len(judged) - len(wrong)) / len(judged),
        wrong=wrong,
        latency_ms=latency,
        seconds=time.monotonic() - started,
        ended_seconds=0.0,
        validation_fidelity=best.get("val_fidelity"),
    )


def learn_elsewhere(
    *, progress: Progress, task: dict[str, Any], lesson: str, digest: str
) -> dict[str, Any]:
    """Train a stage on another machine than the search's; return its figures as JSON.

    Or `{"failed": reason}` where it is the candidate that cannot be trained, and `{"broken": errno,
    "reason": reason}` where it is the machine that cannot read or write.
    """
    progress(0, 1, "training")
    try:
        file = LessonFile(Path(lesson), digest)
        return asdict(learn(Task.model_validate(task), file))
    except OSError as error:
        return {"broken": error.errno, "reason": f"on {gethostname()}, {error}"}
    except MemoryError:
        raise
    except Exception as error:
        return {"failed": reason_of(error)}


def reason_of(error: Exception) -> str:
    """Say why a candidate could not be trained."""
    return f"{type(error).__name__}: {error}"


def _fitted(
    model: Any, task: Task, lesson: Lesson, images: Images, judged: Images
) -> tuple[TrainingHistory, tuple[int, ...]]:
    """Train a model; return how it went, and the validation images that its best epoch misses."""
    steps = len(epoch_batches(images, 0, task.seed, task.schedule.batch_size))
    trainee = Trainee(model, lesson.loss, images, task.schedule, steps)
    told = [task.genome.model_dump(mode="json"), task.stage, task.schedule.model_dump(), task.seed]
    checkpoint = Checkpoint(task.folder / "training.npz", digest_json([lesson.digest, *told]))
    course = train(
        trainee,
        images,
        judged,
        task.schedule,
        task.seed,
        checkpoint,
        _untold,
        lesson.altered,
    )
    return course, trainee.wrong(all_in_order(judged, task.schedule.batch_size))


@cache
def _opened(file: LessonFile) -> tuple[Lesson, Images, Images]:
    """Read a lesson and open its training and validation images, once in a worker's life."""
    lesson: Lesson = pickle.loads(file.path.read_bytes())  # noqa: S301 - the search wrote it
    return lesson, lesson.images(), lesson.judged()


def _untold(done: int, total: int, what: str) -> None:
    """Leave it to the search to tell its progress."""


def _end_with(parent: int) -> None:
    """End this process when its parent was killed: it would train on for no one."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
