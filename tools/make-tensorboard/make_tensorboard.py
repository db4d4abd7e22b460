"""Writes test/fixtures/tensorboard.json: the log of a run, and its event file as TensorBoard's own code writes and reads it.

    pip install tensorboard==2.21.0
    python tools/make-tensorboard/make_tensorboard.py
"""

import base64
import json
import tempfile
from importlib.metadata import version
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

START = 1_700_000_000
NAMES = ["student", "teacher", "distill", "total"]


def line(phase, epoch, taught, test):
    losses = [1.25 / (epoch + 1), 2.5 / (epoch + 1), 0.0625, 4.1 / (epoch + 1)]
    return {
        "phase": phase,
        "epoch": epoch,
        "lr": 0.005 * 0.5**epoch,
        "loss": dict(zip(NAMES, losses)),
        "trainAccuracy": 0.1 + 0.2 * epoch,
        "teacherTrainAccuracy": 0.15 + 0.2 * epoch if taught else None,
        "agreement": 0.3 + 0.1 * epoch if taught else None,
        "valAccuracy": 0.4 if phase == "select" else None,
        "testAccuracy": test,
    }


def scalars(m):
    taught = m["teacherTrainAccuracy"] is not None
    values = {
        "loss/student": m["loss"]["student"],
        "loss/teacher": m["loss"]["teacher"] if taught else None,
        "loss/distill": m["loss"]["distill"] if taught else None,
        "loss/total": m["loss"]["total"],
        "accuracy/train": m["trainAccuracy"],
        "accuracy/teacher-train": m["teacherTrainAccuracy"],
        "accuracy/val": m["valAccuracy"],
        "accuracy/test": m["testAccuracy"],
        "agreement": m["agreement"],
        "lr": m["lr"],
    }
    prefix = "select/" if m["phase"] == "select" else ""
    return {prefix + name: value for name, value in values.items() if value is not None}


def main():
    metrics = [
        line("select", 0, True, None),
        line("final", 0, True, 0.5),
        line("final", 1, True, None),
        line("final", 299, False, 0.625),
    ]
    timings = [{"phase": m["phase"], "epoch": m["epoch"], "seconds": 1.5 + i} for i, m in enumerate(metrics)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"events.out.tfevents.{START}.fixture"
        with open(path, "wb") as file:
            writer = RecordWriter(file)
            writer.write(event_pb2.Event(wall_time=START, file_version="brain.Event:2").SerializeToString())
            time = float(START)
            for m, timing in zip(metrics, timings):
                time += timing["seconds"]
                value = [summary_pb2.Summary.Value(tag=k, simple_value=v) for k, v in scalars(m).items()]
                summary = summary_pb2.Summary(value=value)
                event = event_pb2.Event(wall_time=time, step=m["epoch"] + 1, summary=summary)
                writer.write(event.SerializeToString())
            writer.flush()
        accumulator = EventAccumulator(str(path)).Reload()
        tags = accumulator.Tags()["scalars"]
        read = {tag: [[e.step, e.value] for e in accumulator.Scalars(tag)] for tag in tags}
        assert len(read["lr"]) == 3 and len(read["select/lr"]) == 1, read
        fixture = {
            "tensorboard": version("tensorboard"),
            "start": START,
            "metrics": metrics,
            "timings": timings,
            "base64": base64.b64encode(path.read_bytes()).decode(),
        }
    target = Path(__file__).parents[2] / "test/fixtures/tensorboard.json"
    target.write_text(json.dumps(fixture, indent=1) + "\n")


main()
