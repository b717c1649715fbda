"""Classify sentences with convolutions over their words: `python examples/text_classification.py [FILE.tsv]`.

FILE.tsv has a label, a tab and a text on each line. Without it, the sentences come from docstrings in Python's standard
library, and the label of a sentence is its package. Architecture: Kim, "Convolutional Neural Networks for Sentence
Classification", 2014.
"""

import argparse
import ast
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import stackgrad.nn as nn
import stackgrad.tensor as sg
from stackgrad.nn.optim.lr_scheduler import OneCycleLR

PACKAGES = {"asyncio", "_pydecimal", "email", "http", "importlib", "logging", "typing", "unittest", "xml"}
WIDTHS, LENGTH = (2, 3, 4), 32  # of filters, and of sentences: longer ones are truncated, shorter ones padded
PADDING, UNKNOWN = 0, 1


class Classifier(nn.Module):
    """Logits of the labels: indices of words, int64 (batch, LENGTH), to (batch, labels)."""

    def __init__(self, words: int, labels: int, features: int = 64, filters: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, features, padding_idx=PADDING)
        self.convs = nn.ModuleList([nn.Conv1d(features, filters, width) for width in WIDTHS])
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(len(WIDTHS) * filters, labels)

    def responses(self, ids: sg.Tensor) -> list[sg.Tensor]:
        """The responses of the filters of each width: (batch, filters, n-grams)."""
        embedded = self.embedding(ids).transpose(1, 2)
        return [conv(embedded).relu() for conv in self.convs]

    def forward(self, ids: sg.Tensor) -> sg.Tensor:
        largest = sg.cat([response.max(-1) for response in self.responses(ids)], 1)
        return self.out(self.dropout(largest))


def docstrings() -> Iterator[tuple[str, str]]:
    """The package and the text of each sentence in the docstrings of some packages of the standard library."""
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.rglob("*.py")):
        package = path.relative_to(library).parts[0].removesuffix(".py")
        if package in PACKAGES:
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    for sentence in re.split(r"(?<=[.!?:])\s+|\n\s*\n", ast.get_docstring(node) or ""):
                        yield package.strip("_"), " ".join(sentence.split())


def lines(path: str) -> Iterator[tuple[str, str]]:
    """The label and the text of each line of a file."""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        label, _, text = line.partition("\t")
        yield label, text


def words_of(text: str) -> list[str]:
    """The words, numbers and sentence-ending marks of a text, in lower case."""
    return re.findall(r"[a-z_]+|[0-9]+|[.!?]", text.lower())


def strongest(model: Classifier, ids: sg.Tensor, sentences: list[list[str]]) -> Iterator[list[str]]:
    """For each label, the n-grams with the largest responses of the three filters that support it most over others."""
    with sg.no_grad():
        responses = [response.numpy() for response in model.responses(ids)]
        largest = sg.cat([sg.from_numpy(response.max((0, 2))) for response in responses])
        weights = model.out.weight * largest
    for support in (weights - weights.mean(0)).numpy():
        ngrams = []
        for index in support.argsort()[::-1][:3]:
            width, channel = divmod(int(index), responses[0].shape[1])
            response = responses[width][:, channel]
            rows, starts = divmod(response.ravel().argsort()[::-1][:20], response.shape[1])
            found = [" ".join(sentences[i][j : j + WIDTHS[width]]) for i, j in zip(rows, starts, strict=True)]
            ngrams.append(", ".join(list(dict.fromkeys(found))[:2]))
        yield ngrams


def main() -> None:
    """Train, and print the accuracy on held-out sentences and the n-grams that the filters respond to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sg.manual_seed(options.seed)

    given = sorted(set(lines(options.file) if options.file else docstrings()))
    examples = [(label, words) for label, text in given if len(words := words_of(text)) > 3]
    order = nn.permutation(len(examples)).tolist()
    train, test = ([examples[i] for i in part] for part in (order[len(order) // 5 :], order[: len(order) // 5]))
    labels = sorted({label for label, _ in examples})
    counts = Counter(word for _, words in train for word in words)
    vocabulary = ["", "?", *sorted(word for word, count in counts.items() if count > 1)]
    index_of = {word: index for index, word in enumerate(vocabulary)}

    def tensors(part: list[tuple[str, list[str]]]) -> nn.TensorDataset:
        rows = [[index_of.get(word, UNKNOWN) for word in words[:LENGTH]] for _, words in part]
        padded = [row + [PADDING] * (LENGTH - len(row)) for row in rows]
        return nn.TensorDataset(sg.tensor(padded), sg.tensor([labels.index(label) for label, _ in part]))

    loader = nn.DataLoader(tensors(train), batch_size=64, shuffle=True, num_workers=1)
    (train_ids, _), (test_ids, test_labels) = tensors(train).tensors, tensors(test).tensors
    majority = Counter(label for label, _ in test).most_common(1)[0][1] / len(test)
    print(
        f"{len(examples):,} sentences, {len(vocabulary):,} words, {len(labels)} labels: the largest is {majority:.1%}"
    )

    model = Classifier(len(vocabulary), len(labels))
    optimizer = nn.AdamW(model.parameters(), weight_decay=0.1)
    schedule = OneCycleLR(optimizer, 0.004, epochs=options.epochs, steps_per_epoch=len(loader))

    @sg.capture
    def learn(ids: sg.Tensor, classes: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        loss = nn.cross_entropy(model(ids), classes)
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.detach()

    for epoch in range(1, options.epochs + 1):
        model.train()
        losses = [learn(ids, classes) for ids, classes in loader]
        model.eval()
        with sg.no_grad():
            accuracy = (model(test_ids).argmax(1) == test_labels).astype("float32").mean().item()
        loss = sum(loss.item() for loss in losses) / len(losses)
        print(f"epoch {epoch:2}: loss {loss:.3f}, held-out accuracy {accuracy:.1%}", flush=True)

    print("for each label, the n-grams that its three strongest filters respond to:")
    for label, ngrams in zip(labels, strongest(model, train_ids, [words for _, words in train]), strict=True):
        print(f"{label:>10}: {' | '.join(ngrams)}")


if __name__ == "__main__":
    main()
