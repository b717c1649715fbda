import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stackgrad.mnist.pictures import Picture
from stackgrad.mnist.runs.metrics import read_metrics
from stackgrad.mnist.runs.tensorboard import TensorBoard, TensorBoardError, expect_writer
from stackgrad.mnist.runs.trace import Operation


def read(folder: Path) -> EventAccumulator:
    """The events that TensorBoard finds in a folder."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    return found.Reload()


def test_metrics(trained: Path, tmp_path: Path) -> None:
    rows = read_metrics(trained)
    with TensorBoard(tmp_path / "board") as board:
        for row in rows:
            board.line(row)
            assert read(tmp_path / "board").Scalars("loss/training")[-1].step <= row["step"]  # written without delay
        board.line({"step": 300, "epoch": 4, "validation_loss": 0.5, "validation_accuracy": 0.25})
    found = read(tmp_path / "board")
    assert set(found.Tags()["scalars"]) == {
        *("loss/training", "loss/held_out", "accuracy/training", "accuracy/held_out", "accuracy/test"),
        *("progress/learning_rate", "progress/images_per_second"),
    }
    for tag, key in (("loss/training", "loss"), ("progress/learning_rate", "lr"), ("accuracy/test", "test_accuracy")):
        expected = [(row["step"], pytest.approx(row[key])) for row in rows if key in row]
        assert [(one.step, one.value) for one in found.Scalars(tag)] == expected
    assert [(one.step, one.value) for one in found.Scalars("accuracy/held_out")] == [(300, 0.25)]


def test_a_resumed_training_purges_earlier_events(tmp_path: Path) -> None:
    for losses in ([3.0, 2.0, 1.0], [3.0, 2.5]):
        with TensorBoard(tmp_path) as board:
            for step, loss in enumerate(losses, start=1):
                board.line({"step": step, "loss": loss})
    assert [(one.step, one.value) for one in read(tmp_path).Scalars("loss/training")] == [(1, 3.0), (2, 2.5)]


def test_pictures(tmp_path: Path, trained: Path) -> None:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x07\0\0\1\2"
    with TensorBoard(tmp_path) as board:
        board.pictures(
            [Picture(name, "", "", "", header + more) for name, more in (("one", b""), ("two", b"more"))], 17
        )
    found = read(tmp_path)
    assert found.Tags()["images"] == ["pictures/one", "pictures/two"]
    (image,) = found.Images("pictures/two")
    assert (image.step, image.width, image.height) == (17, 7, 258)
    assert image.encoded_image_string == header + b"more"


def test_graph(tmp_path: Path) -> None:
    operations = [
        Operation("image", "Input", (), (1, 28, 28)),
        Operation("a/weight", "Parameter", (), (5,)),
        Operation("a/conv", "Conv2d", ("image", "a/weight"), (1, 2, 3, 4)),
    ]
    with TensorBoard(tmp_path) as board:
        board.graph(operations)
    nodes = read(tmp_path).Graph().node
    assert [
        Operation(
            node.name,
            node.op,
            tuple(node.input),
            tuple(size.size for shape in node.attr["_output_shapes"].list.shape for size in shape.dim),
        )
        for node in nodes
    ] == operations


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        with pytest.raises(TensorBoardError, match=re.escape(f"{tmp_path / name}: cannot be written (")):
            TensorBoard(tmp_path / name)


def test_a_folder_whose_name_looks_like_an_address(tmp_path: Path) -> None:
    with TensorBoard(Path("s3:bucket")) as board:
        board.line({"step": 1, "loss": 1.0})
    assert read(tmp_path / "s3:bucket").Scalars("loss/training")[0].value == 1


def test_without_the_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    expect_writer()
    monkeypatch.setattr("stackgrad.mnist.runs.tensorboard.find_spec", lambda name: None)
    with pytest.raises(TensorBoardError, match=re.escape("pip install 'stackgrad-mnist[tensorboard]'")):
        expect_writer()
