"""Writes ErrorFeedbackFixtures/gptq.json: codes by the textbook form of GPTQ, in float64 with numpy.

Textbook: the upper Cholesky factor U of the inverse of the damped Gram matrix; column by column, the error over U[i, i] times U[i, i:]
is taken off the columns that are left. No blocks, no tricks. Run: python make-error-feedback-golden.py
"""

import base64, json, pathlib, sys
import numpy as np

rng = np.random.default_rng(20260)
TOKENS, INPUTS, ROWS = 480, 160, 24


def b64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def activations():
    mixing = rng.normal(size=(INPUTS, INPUTS)) * (1.0 / np.arange(1, INPUTS + 1)) ** 0.5
    x = rng.normal(size=(TOKENS, INPUTS)) @ mixing.T * rng.uniform(0.3, 2.0, size=INPUTS)
    x = np.clip(np.round(x * 12), -127, 127)
    x[:, [5, 77, 130]] = 0  # dead
    return x.astype(np.int8)


def grids(w, bits, symmetric, size):
    """Scales in float32, zero points as signed codes; the sign of a symmetric scale makes the extreme reach the lowest code."""
    groups = -(-INPUTS // size)
    scales, zeros = np.zeros((ROWS, groups), np.float32), np.zeros((ROWS, groups), np.int8)
    for g in range(groups):
        part = w[:, g * size : (g + 1) * size]
        if symmetric:
            at = np.abs(part).argmax(axis=1)
            scales[:, g] = part[np.arange(ROWS), at] / -(2.0 ** (bits - 1))
        else:
            low, high = np.minimum(part.min(axis=1), 0), np.maximum(part.max(axis=1), 0)
            scales[:, g] = (high - low) / (2.0**bits - 1)
            zeros[:, g] = np.clip(np.round(-low / scales[:, g]) - 2 ** (bits - 1), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return scales, zeros


def gptq(w, x, scales, zeros, bits, size, act_order, damping):
    h0 = x.T @ x
    h = h0.copy()
    dead = np.flatnonzero(np.diag(h) == 0)
    mean = np.diag(h).sum() / (INPUTS - len(dead))
    h[dead, dead] = 1
    order = np.argsort(-np.diag(h0), kind="stable") if act_order else np.arange(INPUTS)
    h[np.diag_indices(INPUTS)] += damping * mean
    upper = np.linalg.cholesky(np.linalg.inv(h[np.ix_(order, order)])).T
    work = w[:, order].copy()
    codes = np.zeros((ROWS, INPUTS), np.uint8)
    q = np.zeros_like(w)
    nearest = np.full(ROWS, 1.0)
    half = 2 ** (bits - 1)
    for p, column in enumerate(order):
        scale, zero = scales[:, column // size].astype(float), zeros[:, column // size].astype(float)
        steps = work[:, p] / scale
        nearest = np.minimum(nearest, np.abs(steps - np.floor(steps) - 0.5))
        code = np.clip(np.round(steps) + zero, -half, half - 1)
        codes[:, column] = code + half
        q[:, column] = (code - zero) * scale
        error = (work[:, p] - q[:, column]) / upper[p, p]
        work[:, p:] -= np.outer(error, upper[p, p:])
    e = w - q
    return codes, float(np.trace(e @ h0 @ e.T) / TOKENS), nearest


def main():
    x = activations()
    w = (rng.normal(size=(ROWS, INPUTS)) * 0.05).astype(np.float32)
    cases = []
    for bits, symmetric, size, act_order, damping in [
        (4, True, 32, True, 0.01), (3, False, 64, True, 0.01), (2, True, 160, True, 0.05), (4, False, 48, False, 0.01),
        (8, True, 160, True, 0.01),
    ]:
        scales, zeros = grids(w.astype(float), bits, symmetric, size)
        codes, error, nearest = gptq(w.astype(float), x.astype(float), scales, zeros, bits, size, act_order, damping)
        cases.append({
            "bits": bits, "symmetric": symmetric, "groupSize": size, "actOrder": act_order, "damping": damping, "scales": b64(scales),
            "zeroPoints": b64(zeros), "codes": b64(codes), "error": error,
            # Rows in which a target comes so close to a boundary that float32 may round it the other way, and all that follows.
            "uncertain": [int(r) for r in np.flatnonzero(nearest < 1e-4)],
        })
        print(bits, symmetric, size, act_order, "error", error, "uncertain rows", cases[-1]["uncertain"])
    fixture = {
        "made": f"numpy {np.__version__}, Python {sys.version.split()[0]}", "tokens": TOKENS, "inputs": INPUTS, "rows": ROWS,
        "activations": b64(x), "weights": b64(w), "cases": cases,
    }
    (pathlib.Path(__file__).parent / "ErrorFeedbackFixtures" / "gptq.json").write_text(json.dumps(fixture, indent=1) + "\n")


main()
