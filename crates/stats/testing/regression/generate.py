"""Makes rows.csv and expected.json: a small regression as statsmodels and plain numpy see it.

    pip install numpy scipy statsmodels && python generate.py

Slopes are statsmodels' (OLS). Adjusted means and excesses are computed with numpy from the explicit design matrix.
Errors leave out one document at a time and fit again: sqrt((G - 1) / G * sum of squared changes), of slopes CR3. The t
tests of adjusted means and excesses have as many degrees of freedom as documents hold the category, less one.
"""

import json
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from scipy import stats

HERE = Path(__file__).parent
rng = np.random.default_rng(20)
documents, categories = 14, 3
rows = []
for document in range(documents):
    shift = rng.normal(0, 0.4, 3)
    # Category 2 is absent from the last three documents.
    held = 3 if document < documents - 3 else 2
    for token in range(rng.integers(8, 20)):
        category = token if token < held else int(rng.integers(held))
        log_count = rng.normal(4 + category, 1)
        log_place = np.log(rng.integers(1, 60))
        depth = int(rng.poisson(1 + 0.5 * category))
        repeated = int(rng.random() < 0.6)
        entropy = rng.gamma(2, 0.7) + 0.1 * log_place
        x = [log_count, log_place, depth, repeated, entropy]
        effect = np.dot(x, [0.1, -0.05, 0.02, -0.1, 0.2]) + [-0.3, 0.1, 0.4][category]
        y = [effect + shift[0] + rng.normal(0, 0.6), shift[1] + rng.normal(0, 0.6)]
        rows.append([document, category, *np.round(x, 6), *np.round(y, 6)])
rows = np.array(rows)
np.savetxt(HERE / "rows.csv", rows, fmt=["%d", "%d"] + ["%.6f"] * 7, delimiter=",")

cluster, category, x = rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2:7]


def fitted(y, stay):
    """Slopes, adjusted means and excesses of some of the rows."""
    own, mean = x[stay], x[stay].mean(axis=0)
    theta = sm.OLS(y[stay], np.hstack([np.eye(categories)[category[stay]], own])).fit().params
    adjusted = theta[:categories] + mean @ theta[categories:]
    return [theta[categories:], adjusted, adjusted - y[stay].mean()]


def regression(y):
    everything = np.full(len(y), True)
    found = fitted(y, everything)
    without = [fitted(y, cluster != document) for document in range(documents)]
    factor = (documents - 1) / documents
    errors = [np.sqrt(factor * sum((left[kind] - found[kind]) ** 2 for left in without)) for kind in range(3)]
    slopes, adjusted, excess = [[list(pair) for pair in zip(*both)] for both in zip(found, errors)]
    held = [len(set(cluster[category == k])) for k in range(categories)]
    p = [2 * stats.t.sf(abs(value / error), count - 1) for (value, error), count in zip(excess, held)]
    design = np.hstack([np.eye(categories)[category], x])
    return {
        "slopes": slopes,
        "slope_p": [2 * stats.t.sf(abs(value / error), documents - 1) for value, error in slopes],
        "adjusted": adjusted,
        "excess": excess,
        "documents": held,
        "p": p,
        "q": list(stats.false_discovery_control(p)),
        "r_squared": sm.OLS(y, design).fit(hasconst=True).rsquared,
    }


expected = {
    "mean": list(x.mean(axis=0)),
    "standard_deviation": list(x.std(axis=0)),
    "first": regression(rows[:, 7]),
    "second": regression(rows[:, 8]),
    "difference": regression(rows[:, 7] - rows[:, 8]),
}
(HERE / "expected.json").write_text(json.dumps(expected, indent=1, default=float) + "\n")
