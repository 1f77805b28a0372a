"""Writes LowRankFixtures/svd.json: leading singular values, the best approximation's error and some of its elements, by numpy in float64.

The matrices are functions of their seeds, drawn here and in LowRankMatrices.swift alike: the k-th of `terms` outer products of numbers
within ±1 counts k^-decay, `noise` times such numbers is added, every 37th column is `outlier` times as large, and all is rounded to
float32. Run: python make-low-rank-golden.py
"""

import json, pathlib
import numpy as np



def numbers(seed, count):
    """SplitMix64, as SeededRandom: within ±1."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return 2 * ((z >> np.uint64(11)).astype(np.float64) * 2.0**-53) - 1


def matrix(rows, columns, seed, terms, decay, noise, outlier):
    w = noise * numbers(3 * seed, rows * columns).reshape(rows, columns)
    if terms:
        left = numbers(3 * seed + 1, rows * terms).reshape(rows, terms)
        right = numbers(3 * seed + 2, terms * columns).reshape(terms, columns)
        w = w + (left * np.arange(1, terms + 1.0) ** -decay) @ right
    w[:, ::37] *= outlier
    return w.astype(np.float32)


# rows, columns, terms, decay, noise, outlier, rank
CASES = {
    "flat, tall": (256, 192, 0, 0, 1, 1, 8),
    "flat, wide": (192, 256, 0, 0, 1, 1, 24),
    "flat, square": (384, 384, 0, 0, 1, 1, 16),
    "flat, rank 1": (300, 200, 0, 0, 1, 1, 1),
    "flat, a large rank": (160, 224, 0, 0, 1, 1, 120),
    "falling slowly": (300, 200, 200, 0.5, 0, 1, 16),
    "falling": (200, 300, 200, 1, 0, 1, 32),
    "falling fast": (200, 160, 160, 2, 0, 1, 12),
    "like trained ones": (320, 224, 224, 0.7, 0.3, 6, 16),
    "a few directions over noise": (256, 256, 6, 0, 0.02, 1, 16),
    "odd shape": (33, 17, 17, 1, 0.1, 1, 4),
    "one row": (1, 50, 0, 0, 1, 1, 1),
    "one column": (50, 1, 0, 0, 1, 1, 1),
    "all of a tall one": (60, 40, 40, 1, 0, 1, 40),
    "all of a wide one": (40, 60, 40, 1, 0, 1, 40),
    "exactly that rank": (120, 90, 5, 0, 0, 1, 5),
    "below that rank": (90, 120, 5, 1, 0, 1, 12),
}

cases = []
for seed, (name, (rows, columns, terms, decay, noise, outlier, rank)) in enumerate(CASES.items(), start=1):
    w = matrix(rows, columns, seed, terms, decay, noise, outlier)
    u, s, v = np.linalg.svd(w.astype(np.float64), full_matrices=False)
    best = (u[:, :rank] * s[:rank]) @ v[:rank]
    places = [(i * 7919) % w.size for i in range(8)]
    cases.append({
        "name": name, "rows": rows, "columns": columns, "seed": seed, "terms": terms, "decay": decay, "noise": noise, "outlier": outlier,
        "rank": rank, "norm": float(np.linalg.norm(w.astype(np.float64))), "error": float(np.sqrt((s[rank:] ** 2).sum())),
        "values": [float(x) for x in s[:rank]], "next": float(s[rank]) if rank < len(s) else 0.0,
        "elements": [float(best.flat[p]) for p in places],
    })

path = pathlib.Path(__file__).parent / "LowRankFixtures" / "svd.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps({"numpy": np.__version__, "cases": cases}, indent=0) + "\n")
