"""A small GPT that learns to write like Python's documentation, character by character: `python examples/gpt.py`.

The text is `pydoc_data.topics`, which comes with Python. Architecture: Radford et al., "Language Models are
Unsupervised Multitask Learners", 2019.
"""

import argparse
import time
from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray

import stackgrad.nn as nn
import stackgrad.nn.functional as F
import stackgrad.tensor as sg

LAYERS, WIDTH, HEADS, CONTEXT, BATCH = 4, 128, 4, 64, 16


class Attention(nn.Module):
    """Causal self-attention, in which each position attends to itself and earlier ones: (batch, length, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: sg.Tensor) -> sg.Tensor:
        batch, length, width = x.shape
        query, key, value = (
            layer(x).view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        found = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(found.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Attention, then two linear layers on each position, both with residual connections."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: sg.Tensor) -> sg.Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.norm(x))


class GPT(nn.Module):
    """Logits of the character after each position: int64 (batch, length) to (batch, length, characters)."""

    def __init__(self, characters: int, layers: int, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, characters, bias=False)

    def forward(self, ids: sg.Tensor) -> sg.Tensor:
        x = self.characters(ids) + self.positions.weight[: ids.shape[1]]
        return self.head(self.norm(self.blocks(x)))


def read() -> tuple[list[str], NDArray[np.int64]]:
    """The characters that occur in the text, and their indices in each window of it: (windows, CONTEXT + 1)."""
    text = "\n".join(topics.values())
    characters = sorted(set(text))
    index_of = {character: index for index, character in enumerate(characters)}
    ids = np.array([index_of[character] for character in text])
    return characters, np.lib.stride_tricks.sliding_window_view(ids, CONTEXT + 1)


def initialise(model: nn.Module, std: float = 0.02) -> nn.Module:
    """Set small random weights as in GPT-2, and biases of 0."""
    with sg.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.copy_(sg.randn(*parameter.shape) * std)
            elif name.endswith("bias"):
                parameter.zero_()
    return model


def write(model: nn.Module, ids: NDArray[np.int64], length: int, temperature: float) -> NDArray[np.int64]:
    """Continue `ids` by `length` characters, each drawn from the model's probabilities."""
    with sg.no_grad():
        for _ in range(length):
            logits = model(sg.from_numpy(ids[None, -CONTEXT:]))[0, -1]
            ids = np.append(ids, sg.multinomial(F.softmax(logits / temperature, -1), 1).item())
    return ids


def main() -> None:
    """Train, print the loss on held-out text and the speed, and write some text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sg.manual_seed(options.seed)

    characters, windows = read()
    split = len(windows) * 9 // 10  # the last tenth is held out
    held_out = windows[split + CONTEXT :: CONTEXT][: 8 * BATCH]

    model = initialise(GPT(len(characters), LAYERS, WIDTH, HEADS, CONTEXT))
    optimizer = nn.AdamW(model.parameters(), options.lr, weight_decay=0.1)
    schedule = nn.OneCycle(optimizer, options.lr, options.steps, warmup=0.1)

    def loss_of(ids: sg.Tensor) -> sg.Tensor:
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    @sg.capture
    def learn(ids: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        loss = loss_of(ids)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        return loss.detach()

    parameters = sum(parameter.size for parameter in model.parameters())
    print(f"{parameters:,} parameters, {len(windows):,} windows of text, {len(characters)} characters")
    start = time.perf_counter()
    for step, batch in zip(range(1, options.steps + 1), nn.batches(split, BATCH), strict=False):
        learn(sg.from_numpy(windows[batch]))
        if step % 250 == 0 or step == options.steps:
            with sg.no_grad():
                loss = loss_of(sg.from_numpy(held_out)).item()
            speed = step * BATCH * CONTEXT / (time.perf_counter() - start)
            print(f"step {step:5}: held-out loss {loss:.3f}, {speed:,.0f} tokens per second", flush=True)
    found = write(model, np.array([characters.index(character) for character in "The "]), 400, 0.8)
    print("".join(characters[index] for index in found))


if __name__ == "__main__":
    main()
