"""Makes rows.csv and expected.json: a small regression as statsmodels and plain numpy see it.

    pip install numpy scipy statsmodels && python generate.py

Slopes and their errors are statsmodels' (OLS, cov_type="cluster": CR1). Adjusted means and excesses are
computed with numpy from the explicit design matrix: influences of documents by the delta method. Their t
tests have as many degrees of freedom as documents hold the category, less one.
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
dummies = np.eye(categories)[category]
design = np.hstack([dummies, x])
N, K = design.shape
factor = documents / (documents - 1) * (N - 1) / (N - K)


def regression(y):
    model = sm.OLS(y, design).fit(cov_type="cluster", cov_kwds={"groups": cluster}, use_t=True)
    theta = np.linalg.solve(design.T @ design, design.T @ y)
    residual = y - design @ theta
    bread = np.linalg.inv(design.T @ design)
    adjusted, excess = [], []
    for k in range(categories):
        at = np.concatenate([np.eye(categories)[k], x.mean(axis=0)])
        influence, influence_excess = [], []
        for document in range(documents):
            own = cluster == document
            of_theta = bread @ design[own].T @ residual[own]
            of_mean = (x[own] - x.mean(axis=0)).sum(axis=0) / N @ theta[categories:]
            influence.append(at @ of_theta + of_mean)
            influence_excess.append(influence[-1] - (y[own] - y.mean()).sum() / N)
        held = len(set(cluster[category == k]))
        adjusted.append([at @ theta, np.sqrt(factor * np.square(influence).sum())])
        excess.append([at @ theta - y.mean(), np.sqrt(factor * np.square(influence_excess).sum()), held])
    p = [2 * stats.t.sf(abs(value / error), held - 1) for value, error, held in excess]
    return {
        "slopes": [list(pair) for pair in zip(model.params[categories:], model.bse[categories:])],
        "slope_p": list(model.pvalues[categories:]),
        "adjusted": adjusted,
        "excess": [row[:2] for row in excess],
        "documents": [row[2] for row in excess],
        "p": p,
        "q": list(stats.false_discovery_control(p)),
        "r_squared": 1 - np.square(residual).sum() / np.square(y - y.mean()).sum(),
    }


expected = {
    "mean": list(x.mean(axis=0)),
    "standard_deviation": list(x.std(axis=0)),
    "first": regression(rows[:, 7]),
    "second": regression(rows[:, 8]),
    "difference": regression(rows[:, 7] - rows[:, 8]),
}
(HERE / "expected.json").write_text(json.dumps(expected, indent=1, default=float) + "\n")
