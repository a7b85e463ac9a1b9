"""Fits the polynomial coefficients of `exp.rs` and `gelu.rs` (needs numpy and mpmath).

Weighted least squares on Chebyshev nodes with a few Lawson re-weightings, which comes close to the minimax
polynomial; prints the coefficients, lowest degree first, and the largest relative error in exact arithmetic.
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 40


def fit(columns, target, rounds=60):
    """Minimises max |columns @ c / target - 1| by Lawson's iteration."""
    a = columns / target[:, None]
    weights = np.ones(len(target)) / len(target)
    for _ in range(rounds):
        root = np.sqrt(weights)
        coefficients, *_ = np.linalg.lstsq(a * root[:, None], root, rcond=None)
        error = np.abs(a @ coefficients - 1)
        weights *= error + 1e-30
        weights /= weights.sum()
    return coefficients, error.max()


nodes = np.cos(np.pi * (np.arange(400) + 0.5) / 400)

# exp(r) = 1 + r + r^2 * P(r) on |r| <= ln(2) / 2
r = nodes * np.log(2) / 2
target = np.array([float((mp.e ** mp.mpf(v) - 1 - mp.mpf(v)) / mp.mpf(v) ** 2) for v in r])
coefficients, error = fit(np.vander(r, 5, increasing=True), target)
print("exp P:", [float(np.float32(c)) for c in coefficients], "relative error of P", error)

# 2^r on 0 <= r <= 1
r = (nodes + 1) / 2
target = np.exp2(r)
coefficients, error = fit(np.vander(r, 6, increasing=True), target)
print("exp2 P2:", [float(np.float32(c)) for c in coefficients], "relative error", error)

# Q(x) = erfc(x / sqrt 2) / 2 = exp(-x^2 / 2) * s * P(s), with s = 1 / (1 + 0.35 x), 0 <= x <= 14
x = (nodes + 1) * 7
s = 1 / (1 + 0.35 * x)
target = np.array([float(mp.erfc(mp.mpf(v) / mp.sqrt(2)) / 2 * mp.e ** (mp.mpf(v) ** 2 / 2)) for v in x])
for degree in range(6, 12):
    coefficients, error = fit(np.vander(s, degree, increasing=True) * s[:, None], target)
    print("tail P", degree, [float(c) for c in coefficients], "relative error", error)
