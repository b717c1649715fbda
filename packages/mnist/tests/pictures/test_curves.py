from typing import Any

import numpy as np
import pytest

from stackgrad.mnist.pictures import curves

from .conftest import shown


def rows_of(steps: int, every: int, epochs: int, **more: Any) -> list[dict[str, Any]]:
    """Lines like those that training writes."""
    logged = [1, *range(every, steps + 1, every)]
    rows = [
        {"step": s, "epoch": -(-s * epochs // steps), "loss": 2 / s, "accuracy": 1 - 0.9 / s, "lr": 0.1} for s in logged
    ]
    return [*rows, {"step": steps, "test_accuracy": 0.9876, **more}]


def lines(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_smooth_is_the_mean_of_neighbours() -> None:
    values = np.array([1.0, 2.0, 6.0, 3.0, 8.0])
    np.testing.assert_allclose(curves.smooth(values, 3), [1.5, 3, 11 / 3, 17 / 3, 5.5])
    np.testing.assert_allclose(curves.smooth(values, 1), values)
    assert curves.smooth(np.array([])).size == 0


def test_the_lines_show_the_metrics(drawn: Any) -> None:
    rows = rows_of(1000, 50, 4)
    for epoch in (1, 2, 3, 4):
        line = {
            "step": 250 * epoch,
            "epoch": epoch,
            "validation_loss": 1 / epoch,
            "validation_accuracy": 0.9 + epoch / 50,
        }
        rows.insert(-1, line)
    picture = curves.draw(shown(rows=rows))
    loss, accuracy = drawn.figure.axes
    held_out = lines(accuracy)["held-out images"]
    np.testing.assert_allclose(held_out.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(held_out.get_ydata(), [0.92, 0.94, 0.96, 0.98])
    test = lines(accuracy)["test images: 98.76%"]
    assert (test.get_xdata().tolist(), test.get_ydata().tolist()) == ([4], [0.9876])
    trained = lines(loss)["training images"]
    np.testing.assert_allclose(trained.get_xdata(), [row["step"] / 250 for row in rows if "loss" in row])
    np.testing.assert_allclose(trained.get_ydata(), curves.smooth(np.array([r["loss"] for r in rows if "loss" in r])))
    assert set(lines(loss)) == {"training images", "held-out images"}
    assert loss.get_yscale() == "log"
    assert picture.title == "Loss from 2.00 to 0.002, test accuracy 98.76%"
    assert "1,000 steps, 4 epochs." in picture.description
    assert picture.description.endswith("accuracy on held-out images 98.00%; accuracy on test images 98.76%.")


def test_lines_can_be_distinguished_without_colours(drawn: Any) -> None:
    curves.draw(shown(rows=[*rows_of(100, 10, 1), {"step": 100, "epoch": 1, "validation_accuracy": 0.9}]))
    shapes = [(line.get_linestyle(), line.get_marker()) for line in lines(drawn.figure.axes[1]).values()]
    assert len(set(shapes)) == 3


@pytest.mark.parametrize(("accuracy", "floor"), [(0.999, 0.98), (0.97, 0.95), (0.85, 0.8), (0.3, 0)])
def test_the_accuracy_axis_starts_below_the_values(accuracy: float, floor: float, drawn: Any) -> None:
    rows = [{"step": step, "epoch": 1, "loss": 1.0, "accuracy": accuracy if step > 9 else 0.1} for step in range(1, 90)]
    curves.draw(shown(rows=[*rows, {"step": 90, "test_accuracy": 0.9995}]))
    assert drawn.figure.axes[1].get_ylim() == (floor, 1)


def test_runs_with_few_metrics(drawn: Any) -> None:
    assert curves.draw(shown(rows=[])).title == "Nothing was logged"
    assert curves.draw(shown(rows=[{"step": 8, "test_accuracy": 0.5}])).title == "Test accuracy 50.00%"
    older = [{key: value for key, value in row.items() if key != "accuracy"} for row in rows_of(60, 50, 2)]
    assert curves.draw(shown(rows=older)).title == "Loss from 2.00 to 1.020, test accuracy 98.76%"
    assert list(lines(drawn.figure.axes[1])) == ["test images: 98.76%"]


def test_extreme_values(drawn: Any) -> None:
    rows = [
        {"step": step, "epoch": 1, "loss": loss, "accuracy": 0} for step, loss in enumerate((0, 1e300, -5), start=1)
    ]
    assert curves.draw(shown(rows=rows)).title.startswith("Loss from 0.00 to ")
