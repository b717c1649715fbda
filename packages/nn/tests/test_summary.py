"""A table of a module's layers."""

import stackgrad.tensor as sg
from stackgrad import nn


def test_a_table_of_layers() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 1000))
    model[0].requires_grad_(False)
    before = {name: t.tolist() for name, t in model.state_dict().items()}
    assert nn.summary(model, sg.ones(2, 1, 8, 8)) == "\n".join(
        [
            "layer            output                       parameters",
            "--------------------------------------------------------",
            "0 (Conv2d)       (2, 4, 6, 6)                         40",
            "1 (BatchNorm2d)  (2, 4, 6, 6)                          8",
            "2 (Flatten)      (2, 144)                              0",
            "3 (Linear)       (2, 1000)                       145,000",
            "--------------------------------------------------------",
            "total                          145,048 (145,008 trained)",
        ]
    )
    assert {name: t.tolist() for name, t in model.state_dict().items()} == before
    assert all(module.training for module in model.modules())


def test_several_outputs_shared_and_uncalled_layers() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.lstm = nn.LSTM(3, 2)
            self.heads = [nn.Linear(2, 2)]
            self.again = self.heads[0]
            self.unused = nn.ReLU()
            self.scales = [nn.Parameter(sg.ones(5))]

        def forward(self, input: sg.Tensor) -> sg.Tensor:
            return self.again(self.lstm(input)[0]) * self.scales[0].sum()

    table = nn.summary(Net(), sg.ones(4, 1, 3))
    lines = [" ".join(line.split()) for line in table.splitlines()]
    assert lines[2:-2] == [
        "Net (4, 1, 2) 5",
        "lstm (LSTM) ((4, 1, 2), ((1, 1, 2), (1, 1, 2))) 56",
        "heads.0 (Linear) (4, 1, 2) 6",
        "unused (ReLU) - 0",
    ]
    assert lines[-1] == "total 67"


def test_a_notebook_shows_the_table() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
    assert model._repr_html_().splitlines() == [
        "<table>",
        "<tr><th>name</th><th>layer</th><th>parameters</th></tr>",
        "<tr><td>0</td><td>Linear(2, 3)</td><td>9</td></tr>",
        "<tr><td>1.0</td><td>ReLU()</td><td>0</td></tr>",
        "<tr><th>total</th><th></th><th>9</th></tr>",
        "</table>",
    ]


def test_text_in_the_table_is_escaped() -> None:
    class Odd(nn.Module):
        def extra_repr(self) -> str:
            return "<b> & c"

    assert "<td>Odd(&lt;b&gt; &amp; c)</td>" in Odd()._repr_html_()
