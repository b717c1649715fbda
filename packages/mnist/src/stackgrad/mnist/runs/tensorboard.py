"""Event files for TensorBoard: metrics during training, then the pictures and the model's graph."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import MistakeError

if TYPE_CHECKING:
    from ..pictures import Picture
    from .trace import Operation


_TAGS = {
    "loss": "loss/training",
    "validation_loss": "loss/held_out",
    "accuracy": "accuracy/training",
    "validation_accuracy": "accuracy/held_out",
    "test_accuracy": "accuracy/test",
    "lr": "progress/learning_rate",
    "images_per_second": "progress/images_per_second",
}
"""The TensorBoard tags of the metrics in metrics.jsonl. TensorBoard groups tags with the same prefix."""


class TensorBoardError(MistakeError):
    """Event files cannot be written. The message is one line that says why."""


def expect_writer() -> None:
    """Raise TensorBoardError if tensorboardX is not installed."""
    if find_spec("tensorboardX") is None:
        raise TensorBoardError("--tensorboard needs tensorboardX: pip install 'stackgrad-mnist[tensorboard]'")


class TensorBoard:
    """Writes the event file of a run. Use it as a context manager.

    Args:
        folder: the folder of the run's event files, made if missing. Point TensorBoard at it or at its parent. Events
            that an earlier process of the same training wrote there are purged.

    Raises:
        TensorBoardError: the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboardX import RecordWriter  # optional, and slow to import

        try:
            folder.mkdir(parents=True, exist_ok=True)
            # An absolute path, since RecordWriter would take "s3:a" for an address.
            self._file = RecordWriter(str(folder.absolute() / f"events.out.tfevents.{time.time():.6f}.stackgrad"))
        except OSError as error:
            raise TensorBoardError(f"{folder}: cannot be written ({error.strerror}); name another") from error
        self._write(file_version="brain.Event:2")
        self._write(session_log={"status": "START"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def line(self, line: Mapping[str, Any]) -> None:
        """Write the metrics of a line of metrics.jsonl."""
        values = [{"tag": tag, "simple_value": line[key]} for key, tag in _TAGS.items() if key in line]
        self._write(line["step"], summary={"value": values})
        self._file.flush()

    def pictures(self, pictures: Iterable[Picture], step: int) -> None:
        """Write pictures with a step."""
        for picture in pictures:
            width, height = struct.unpack(">II", picture.png[16:24])
            image = {"width": width, "height": height, "colorspace": 4, "encoded_image_string": picture.png}
            self._write(step, summary={"value": [{"tag": f"pictures/{picture.name}", "image": image}]})
        self._file.flush()

    def graph(self, operations: Iterable[Operation]) -> None:
        """Write the graph of a model, from `operations`, with the shape of each output for one image."""
        from tensorboardX.proto.graph_pb2 import GraphDef

        nodes = [
            {
                "name": one.name,
                "op": one.kind,
                "input": one.inputs,
                "attr": {"_output_shapes": {"list": {"shape": [{"dim": [{"size": size} for size in one.shape]}]}}},
            }
            for one in operations
        ]
        self._write(graph_def=GraphDef(node=nodes, versions={"producer": 22}).SerializeToString())
        self._file.flush()

    def _write(self, step: int = 0, **what: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._file.write(Event(wall_time=time.time(), step=step, **what).SerializeToString())
