"""How a person moves a pen to write a digit: curved strokes, never twice the same."""

import math

import numpy as np

# For each digit its strokes through these points, x and y from 0 to 100 in a box of its own, as it is taught at school.
DIGITS = {
    0: [[(52, 4), (28, 14), (18, 45), (24, 80), (48, 96), (74, 82), (82, 48), (74, 15), (50, 4)]],
    1: [[(34, 24), (54, 5), (53, 50), (52, 96)]],
    2: [[(22, 26), (36, 7), (62, 6), (74, 26), (62, 50), (40, 72), (20, 92), (48, 90), (82, 92)]],
    3: [[(24, 14), (50, 4), (72, 18), (64, 38), (44, 46), (68, 54), (78, 74), (58, 94), (24, 88)]],
    4: [[(52, 5), (36, 34), (20, 62), (50, 62), (84, 61)], [(62, 36), (61, 66), (60, 97)]],
    5: [[(34, 8), (31, 28), (28, 46), (52, 40), (74, 54), (72, 82), (48, 96), (22, 88)], [(34, 8), (56, 7), (78, 6)]],
    6: [[(64, 5), (40, 24), (24, 54), (26, 82), (48, 96), (70, 84), (68, 62), (46, 54), (27, 70)]],
    7: [[(18, 10), (48, 8), (80, 9), (64, 38), (50, 66), (42, 97)]],
    8: [
        [(68, 18), (48, 5), (28, 18), (42, 42), (66, 58), (74, 80), (50, 96), (26, 82), (36, 58), (60, 42), (70, 20)],
    ],
    9: [[(72, 24), (50, 6), (28, 20), (32, 44), (56, 48), (72, 26), (71, 60), (64, 96)]],
}


def handwritten(digit, seed, size=0.7, place=(0.15, 0.15)):
    """Strokes of points (x, y), 0 to 1 from the page's left and top: the digit leaning, wobbling, of its own width.

    Args:
        digit: 0 to 9.
        seed: decides how it is written this time.
        size: its height, as a part of the page.
        place: its corner at the upper left.
    """
    random = np.random.default_rng([digit, seed])
    width, lean, turn = random.uniform(0.75, 1.0), random.uniform(-0.05, 0.2), math.radians(random.uniform(-6, 6))
    written = []
    for stroke in DIGITS[digit]:
        points = np.array(stroke, float) / 100 + random.normal(0, 0.012, (len(stroke), 2))
        line = _curve(points)
        line += _wobble(random, len(line))
        x, y = (line - 0.5).T
        x = x * width - lean * y
        x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
        written.append(np.clip((np.stack([x, y], 1) + 0.5) * size + place, 0, 1))
    return written


def _curve(points, between=7):
    """A smooth line through the points (Catmull and Rom, 1974)."""
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        t = np.linspace(0, 1, between, endpoint=False)[:, None]
        parts.append(b + (c - a) * t / 2 + (2 * a - 5 * b + 4 * c - d) * t**2 / 2 + (3 * b - a - 3 * c + d) * t**3 / 2)
    return np.concatenate([*parts, points[-1:]])


def _wobble(random, length):
    """A hand that is not quite steady."""
    noise = random.normal(0, 0.006, (length + 4, 2))
    return np.stack([np.convolve(axis, np.ones(5) / 3, "valid") for axis in noise.T], 1)
