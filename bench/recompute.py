"""Recomputes a comparison's numbers from its joined.parquet, with pandas and scipy, and compares.

    pip install numpy pandas pyarrow scipy && python bench/recompute.py OUT

Reads OUT/joined.parquet and OUT/results.json; of the latter it uses the settings (thresholds, grids, windows)
and compares everything else: every point estimate, cluster-robust standard error, p- and q-value, count and
regression coefficient, for all documents and for both halves, as scored and calibrated. Nothing of deltaloss is imported or
ported: sums by document, group by group, are made as one would in a notebook.

Not recomputed are the ends of resampled intervals, which depend on the random draws; they are only required
to be numbers in order, and to be there where there is a standard error. Whatever else is in the results and
not recomputed here is an error, so that a new section cannot go unchecked. Exit code 1 on any disagreement.

Standard errors of densities and of Spearman coefficients are, by the results' own account, made from binned
influences, and the same bins are used here. That of a median comes from quantiles that lie anywhere within a gap
between values: it has to be within 2 %. All else is held to 1e-6.

Two numbers agree if they differ by at most 1e-6 + 1e-6 |expected|: losses are stored as 32-bit floats but
summed as 64-bit ones on both sides, so that only rounding differs, which stays below 1e-9 of the number.
"""

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy import stats

TOLERANCE = 1e-6
ROUGH = 0.02
FEWEST_DOCUMENTS = 10
CLEAR_GAP = 5  # standard errors from zero
PARTS = ["all", "discovery", "confirmation"]
CLOSING = re.compile(r"[)\]}]")

# Leaves of results.json that are no statistics: settings, names and provenance.
SETTINGS = {
    "schema", "setup", "intervals", "role", "label", "name", "first", "second", "x", "y", "confident_below_nats",
    "uncertain_above_nats", "margin_nats", "entropy_of", "dropped_because",
}  # fmt: skip
RESAMPLED = {"interval", "density_intervals_per_nat"}


class Checker:
    """Compares numbers with the results by their place, and remembers which places were looked at."""

    def __init__(self, results):
        self.results = results
        self.seen = set()
        self.problems = []
        self.rough = 0.0
        self.sections = defaultdict(lambda: [0, 0.0])

    def at(self, path):
        value = self.results
        for key in path:
            value = value[key]
        return value

    def number(self, path, expected, tolerance=None):
        """One leaf: a number, a flag, or null; where a tolerance is given, relative to the expected number."""
        self.seen.add(path)
        try:
            found = self.at(path)
        except (KeyError, IndexError, TypeError):
            return self.problem(path, "is missing")
        section = self.sections[section_of(path)]
        section[0] += 1
        expected = None if expected is None or not np.isfinite(expected) else float(expected)
        if found is None or expected is None:
            if not (found is None and expected is None):
                self.problem(path, f"is {found}, recomputed {expected}")
            return None
        difference = abs(float(found) - expected)
        if tolerance is not None:
            self.rough = max(self.rough, difference / abs(expected) if expected else 0)
        else:
            section[1] = max(section[1], difference)
        if difference > (TOLERANCE + TOLERANCE * abs(expected) if tolerance is None else tolerance * abs(expected)):
            self.problem(path, f"is {found!r}, recomputed {expected!r}")

    def problem(self, path, text):
        self.problems.append(f"{'/'.join(map(str, path))} {text}")

    def estimate(self, path, stat, error=True):
        """An estimate with its standard error, or null."""
        if stat is None:
            return self.number(path, None)
        self.number((*path, "value"), stat.value)
        self.number((*path, "standard_error"), stat.standard_error if error else None)

    def tests(self, tests):
        """A family: {path: stat}; null where there is nothing to test by."""
        tests = {path: stat for path, stat in tests.items()}
        testable = {path: stat for path, stat in tests.items() if stat is not None and stat.p_value is not None}
        q_values = stats.false_discovery_control([stat.p_value for stat in testable.values()]) if testable else []
        for path in tests.keys() - testable.keys():
            self.number(path, None)
        for (path, stat), q_value in zip(testable.items(), q_values):
            self.number((*path, "degrees_of_freedom"), stat.documents - 1)
            self.number((*path, "p_value"), stat.p_value)
            self.number((*path, "q_value"), q_value)

    def finish(self):
        """Requires that nothing was left out, prints a line a section and returns the exit code."""
        intervals = 0
        for path, value in leaves(self.results):
            if any(key in SETTINGS for key in path):
                continue
            if any(key in RESAMPLED for key in path) and path not in self.seen:
                intervals += value is not None
                if value is not None and not np.isfinite(value):
                    self.problem(path, f"is {value}")
                continue
            if path not in self.seen:
                self.problem(path, f"is {value!r} and is not recomputed: teach bench/recompute.py what it is")
        for section, (count, largest) in self.sections.items():
            print(f"{section:<32} {count:>7} values, largest difference {largest:.1e}")
        print(f"approximate standard errors: largest relative difference {self.rough:.1e}")
        print(f"{intervals} ends of resampled intervals, not recomputed")
        for problem in self.problems[:40]:
            print("DISAGREES:", problem)
        if len(self.problems) > 40:
            print(f"… and {len(self.problems) - 40} more")
        total = sum(count for count, _ in self.sections.values())
        print(f"{total - len(self.problems)} passed, {len(self.problems)} failed")
        return 1 if self.problems else 0


def section_of(path):
    return " ".join(map(str, path[: 3 if path[0] == "calibrated" else 2]))


def leaves(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
        return
    for key, item in items:
        yield from leaves(item, (*path, key))


class Stat:
    """A number that is a ratio of sums over documents, or a sum of such, with each document's influence on it."""

    def __init__(self, value, influence, documents, factor=None):
        self.value = value
        self.influence = influence
        self.documents = documents  # of the smallest group that takes part
        clusters = len(influence)
        self.factor = factor if factor is not None else clusters / (clusters - 1) if clusters > 1 else np.nan

    @classmethod
    def ratio(cls, over, under):
        """Sum of `over` by sum of `under`, two series of sums by document; null over nothing."""
        if len(over) == 0 or under.sum() == 0:
            return None
        value = over.sum() / under.sum()
        return cls(value, (over - value * under) / under.sum(), len(over))

    @property
    def standard_error(self):
        if self.documents < FEWEST_DOCUMENTS:
            return None
        return np.sqrt(self.factor * np.square(self.influence).sum())

    @property
    def p_value(self):
        error = self.standard_error
        if error is None or not error > 0:
            return None
        return 2 * stats.t.sf(abs(self.value) / error, self.documents - 1)

    def __sub__(self, other):
        influence = self.influence.sub(other.influence, fill_value=0)
        return Stat(self.value - other.value, influence, min(self.documents, other.documents))


def less(first, second):
    return None if first is None or second is None else first - second


def mean(rows, column):
    """The mean of a column over rows, documents as clusters."""
    by_document = rows.groupby("document")[column]
    return Stat.ratio(by_document.sum(), by_document.size())


def per_byte(rows, column):
    """A column's sum over the bytes of the rows."""
    by_document = rows.groupby("document")
    return Stat.ratio(by_document[column].sum(), by_document.bytes.sum())


def share_of_gap(rows, everything, column):
    """The part of the summed column that some rows make."""
    total = everything.groupby("document")[column].sum()
    if total.sum() == 0:
        return None
    part = rows.groupby("document")[column].sum()
    stat = Stat.ratio(part.reindex(total.index, fill_value=0), total)
    stat.documents = part.size
    gap = Stat.ratio(total, everything.groupby("document").size())
    stat.clear = gap.standard_error is not None and abs(gap.value) >= CLEAR_GAP * gap.standard_error
    return stat


class Part:
    """One set of documents on one basis: the whole corpus, or a half of it. `path` is its place in the results."""

    def __init__(self, checker, setup, rows, path):
        self.checker, self.results, self.rows, self.path = checker, checker.at(path), rows, path
        self.roles = [model["role"] for model in setup["models"]]
        self.window = setup["models"][0]["run"]["window"]
        self.placebo = "placebo" in self.roles

    def check(self):
        number = self.checker.number
        number((*self.path, "documents"), self.rows.document.nunique())
        number((*self.path, "tokens"), len(self.rows))
        number((*self.path, "bytes"), self.rows.bytes.sum())
        known = {"documents", "tokens", "bytes", "intervals"}
        for section, check in SECTIONS.items():
            if section in self.results:
                check(self, (*self.path, section), self.results[section])
        for section in self.results.keys() - known - SECTIONS.keys():
            self.checker.problem((*self.path, section), "is a section that bench/recompute.py does not know")


def overall(part, path, found):
    rows, checker = part.rows, part.checker
    by_document = rows.groupby("document")
    for index, role in enumerate(part.roles):
        at = (*path, "models", index)
        loss, entropy = f"loss_{role}", f"entropy_{role}"
        checker.estimate((*at, "mean_loss_nats"), mean(rows, loss))
        bits = by_document[loss].sum() / np.log(2)
        checker.estimate((*at, "bits_per_byte"), Stat.ratio(bits, by_document.bytes.sum()))
        loss_stat = mean(rows, loss)
        perplexity = np.exp(loss_stat.value)
        # The delta method: exp's slope is exp.
        checker.estimate((*at, "perplexity"), Stat(perplexity, perplexity * loss_stat.influence, loss_stat.documents))
        # A model with other tokens than a's has guessed at none of these rows.
        rank = rows.get(f"rank_{role}")
        checker.estimate((*at, "top1_accuracy"), None if rank is None else mean(rows.assign(hit=rank == 0), "hit"))
        checker.estimate((*at, "mean_entropy_nats"), mean(rows, entropy))
        median(checker, (*at, "median_entropy_nats"), rows, entropy)
    pairs = [("a", "b"), ("placebo", "b")][: 1 + part.placebo]
    wins = []
    for index, (first, second) in enumerate(pairs):
        at = (*path, "pairs", index)
        own = rows.assign(delta=rows[f"loss_{first}"] - rows[f"loss_{second}"])
        own["won"] = own.delta < 0
        delta = mean(own, "delta")
        documents = own.groupby("document").delta.sum() < 0
        tokens, documents = mean(own, "won"), Stat.ratio(documents.astype(float), documents * 0.0 + 1)
        wins.append((delta, tokens, documents))
        checker.estimate((*at, "mean_delta_nats"), delta)
        checker.tests({(*at, "mean_delta_test"): delta})
        checker.estimate((*at, "delta_nats_per_byte"), per_byte(own, "delta"))
        checker.estimate((*at, "first_wins_tokens"), tokens)
        checker.estimate((*at, "first_wins_documents"), documents)
        equivalence(checker, (*at, "equivalence"), delta, found["pairs"][index]["equivalence"])
    at = (*path, "placebo_difference")
    if not part.placebo:
        return checker.number(at, None)
    delta, tokens, documents = (less(*both) for both in zip(*wins))
    checker.estimate((*at, "mean_delta_nats"), delta)
    checker.tests({(*at, "mean_delta_test"): delta})
    checker.estimate((*at, "first_wins_tokens"), tokens)
    checker.estimate((*at, "first_wins_documents"), documents)


def median(checker, path, rows, column):
    """A median. Its error is that of the share of tokens below it, carried through the quantiles (Woodruff 1952)."""
    values = rows[column]
    value = np.median(values)
    below = mean(rows.assign(below=values < value), "below").standard_error
    checker.number((*path, "value"), value)
    if below is None:
        return checker.number((*path, "standard_error"), None)
    low, high = np.quantile(values, np.clip([0.5 - below, 0.5 + below], 0, 1), method="hazen")
    checker.number((*path, "standard_error"), (high - low) / 2, tolerance=ROUGH)


def equivalence(checker, path, delta, found):
    """Two one-sided t tests against ± the margin."""
    if delta.standard_error is None:
        return checker.number(path, None)
    margin, freedom, error = found["margin_nats"], delta.documents - 1, delta.standard_error
    p_value = max(stats.t.sf((delta.value + margin) / error, freedom), stats.t.cdf((delta.value - margin) / error, freedom))
    half = stats.t.isf(0.05, freedom) * error
    checker.number((*path, "degrees_of_freedom"), freedom)
    checker.number((*path, "p_value"), p_value)
    checker.number((*path, "equivalent"), p_value < 0.05)
    checker.number((*path, "interval_90", 0), delta.value - half)
    checker.number((*path, "interval_90", 1), delta.value + half)


def correlation(part, path, found):
    rows, checker = part.rows, part.checker
    losses = [f"loss_{role}" for role in part.roles]
    by_entry = rows.groupby("token")
    entries, counts = by_entry[losses].mean(), by_entry.size()
    for index, pair in enumerate(found):
        at = (*path, index)
        x, y = f"loss_{pair['x']}", f"loss_{pair['y']}"
        checker.number((*at, "vocabulary_entries"), len(entries))
        correlated(checker, (*at, "pearson_occurrences"), rows.document, *pearson(rows[x], rows[y]))
        correlated(checker, (*at, "spearman_occurrences"), rows.document, *spearman(rows[x], rows[y]))
        unweighted = entries[x].corr(entries[y])
        correlated(checker, (*at, "pearson_vocabulary"), rows.document, unweighted, None)
        # An entry's mean moves with each of its tokens: by the token's deviation from it over its count.
        of_entry = {axis: rows.token.map(entries[axis]) for axis in (x, y)}
        weighted, between = pearson(of_entry[x], of_entry[y])
        if np.isfinite(weighted):
            u, v = (standardised(of_entry[axis]) for axis in (x, y))
            beyond_x, beyond_y = ((rows[axis] - of_entry[axis]) / of_entry[axis].std(ddof=0) for axis in (x, y))
            between = between + beyond_x * (v - weighted * u) + beyond_y * (u - weighted * v)
        correlated(checker, (*at, "pearson_vocabulary_weighted"), rows.document, weighted, between)
        heatmap(checker, (*at, "heatmap_occurrences"), pair["heatmap_occurrences"], rows[x], rows[y], None)
        heatmap(checker, (*at, "heatmap_vocabulary"), pair["heatmap_vocabulary"], entries[x], entries[y], counts)
    pairs = {frozenset((pair["x"], pair["y"])) for pair in found}
    if len(pairs) != len(part.roles) * (len(part.roles) - 1) // 2:
        checker.problem(path, f"has {len(pairs)} pairs of {len(part.roles)} models")


def standardised(values):
    return (values - values.mean()) / values.std(ddof=0)


def pearson(x, y):
    """Pearson's r and each token's influence on it, times the number of tokens."""
    if x.nunique() < 2 or y.nunique() < 2:
        return np.nan, None
    u, v = standardised(x), standardised(y)
    r = (u * v).mean()
    return r, u * v - r / 2 * (u**2 + v**2)


def spearman(x, y):
    """Spearman's rho and each token's influence on it: by its own ranks, and by what it does to others' ranks."""
    u, v = x.rank(), y.rank()
    rho, _ = pearson(u, v)
    if not np.isfinite(rho):
        return rho, None
    u, v = ((ranks - ranks.mean()) / len(ranks) for ranks in (u, v))

    def on_others(bins, other_bins, other):
        """E[1{x < X} v(Y)] by bins of x and of y, those in one bin of x by half."""
        total = other.groupby(other_bins).transform("mean").groupby(bins).sum()
        above = total[::-1].cumsum()[::-1] - total / 2
        return bins.map(above) / len(bins)

    scale = np.sqrt((u**2).mean() * (v**2).mean())
    bins_x, bins_y = eighths_of_octaves(x), eighths_of_octaves(y)
    influence = u * v + on_others(bins_x, bins_y, v) + on_others(bins_y, bins_x, u)
    return rho, (influence - influence.mean()) / scale


def eighths_of_octaves(values):
    """Eight bins an octave, evenly wide within it, from 2^-20 to 2^5."""
    mantissa, exponent = np.frexp(values.clip(lower=2.0**-20))
    return ((exponent - 1 + 20) * 8 + np.floor((2 * mantissa - 1) * 8).astype(int)).clip(upper=200)


def correlated(checker, path, document, value, influence):
    """A coefficient with its linearised error; the one over entries counted once has none."""
    if not np.isfinite(value):
        return checker.number(path, None)
    checker.number((*path, "value"), value)
    error = None
    if influence is not None:
        of_document = influence.groupby(document).sum() / len(influence)
        error = Stat(value, of_document, len(of_document)).standard_error
    checker.number((*path, "standard_error"), error)


def heatmap(checker, path, found, x, y, weights):
    edges = np.array(found["edges_nats"])
    even = np.geomspace(edges[0], edges[-1], len(edges))
    for index, edge in enumerate(even):
        checker.number((*path, "edges_nats", index), edge)
    # The extreme entries lie on the outermost edges, give or take a rounding.
    edges[0], edges[-1] = edges[0] * (1 - 1e-12), edges[-1] * (1 + 1e-12)
    counts, _, _ = np.histogram2d(y, x, bins=(edges, edges), weights=weights)
    for (row, column), count in np.ndenumerate(counts):
        checker.number((*path, "counts", row, column), count)
    total = len(x) if weights is None else weights.sum()
    checker.number((*path, "outside"), total - counts.sum())


def delta_rows(part, path, found, groups):
    """A table of groups: {name: rows}. Each column of tests is a family."""
    rows, checker = part.rows, part.checker
    pairs = {"": "delta"} | ({"placebo_": "delta_placebo"} if part.placebo else {})
    families = defaultdict(dict)
    names = [row["name"] for row in found]
    if sorted(names) != sorted(set(names)) or set(groups) - set(names):
        checker.problem(path, f"has the rows {names}, recomputed {sorted(groups)}")
    for index, name in enumerate(names):
        at, own = (*path, index), groups.get(name, rows[:0])
        checker.number((*at, "tokens"), len(own))
        checker.number((*at, "bytes"), own.bytes.sum())
        checker.number((*at, "vocabulary_entries"), own.token.nunique())
        checker.number((*at, "documents"), own.document.nunique())
        checker.estimate((*at, "loss_a_nats"), mean(own, "loss_a"))
        checker.estimate((*at, "loss_b_nats"), mean(own, "loss_b"))
        checker.estimate((*at, "delta_nats_per_byte"), per_byte(own, "delta"))
        columns = {}
        for prefix in ["", "placebo_"]:
            delta = mean(own, pairs[prefix]) if prefix in pairs else None
            columns[f"{prefix}delta"] = delta
            columns[f"{prefix}excess"] = less(delta, mean(rows, pairs[prefix])) if prefix in pairs else None
            gap = share_of_gap(own, rows, pairs[prefix]) if prefix in pairs else None
            share(checker, (*at, f"{prefix}share_of_gap"), found[index][f"{prefix}share_of_gap"], gap)
        columns["difference"] = less(columns["delta"], columns["placebo_delta"])
        columns["excess_difference"] = less(columns["excess"], columns["placebo_excess"])
        for column, stat in columns.items():
            checker.estimate((*at, f"{column}_nats"), stat)
            families[column][(*at, f"{column}_test")] = stat
    for family in families.values():
        checker.tests(family)


def share(checker, path, found, stat):
    """A share of a gap: neither interval nor error where the gap is too near zero."""
    if stat is None:
        return checker.number(path, None)
    given = stat.clear and stat.documents >= FEWEST_DOCUMENTS
    if found is None or (found["interval"] is not None) != given:
        checker.problem(path, f"has an interval: {not given}, recomputed: {given}")
    checker.estimate(path, stat, error=stat.clear)


def categories(part, path, found):
    delta_rows(part, path, found, dict(list(part.rows.groupby("category"))))


def brackets(part, path, found):
    rows = part.rows
    closing = rows.text.str.count(CLOSING)
    only = rows[rows.text.str.fullmatch(r"[)\]}]+")]
    delta_rows(part, (*path, "by_token"), found["by_token"], dict(list(only.groupby("text"))))
    spaced = rows[(closing > 0) & rows.text.str.fullmatch(r"[)\]}:\s]+")]
    counts = closing[spaced.index].astype(str)
    delta_rows(part, (*path, "by_count"), found["by_count"], dict(list(spaced.groupby(counts))))
    holding = rows[closing > 0]
    depths = holding.depth.clip(upper=6).map(lambda depth: "6+" if depth == 6 else str(depth))
    delta_rows(part, (*path, "by_depth"), found["by_depth"], dict(list(holding.groupby(depths))))


def entropy(part, path, found):
    rows, checker = part.rows, part.checker
    for index, (role, distribution) in enumerate(zip(part.roles, found, strict=True)):
        at, column = (*path, index), f"entropy_{role}"
        checker.estimate((*at, "mean_nats"), mean(rows, column))
        median(checker, (*at, "median_nats"), rows, column)
        checker.estimate((*at, "share_below_0_2"), mean(rows.assign(low=rows[column] < 0.2), "low"))
        density(checker, at, distribution, rows[column], rows.document)


def density(checker, path, found, values, documents):
    """The derivative, over 0.02 nats, of the cumulative histogram (bins of 0.005 nats) after a Gaussian blur."""
    points = len(found["grid_nats"])
    for index in range(points):
        checker.number((*path, "grid_nats", index), 0.02 * index)
    bins = 4 * (points - 1)
    bandwidth = np.clip(0.5 * len(values) ** -0.2, 0.03, 0.15) / 0.005
    reach = int(np.ceil(5 * bandwidth))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / bandwidth) ** 2)
    kernel /= kernel.sum()
    held = values.clip(lower=0)
    held = held[held <= bins * 0.005 + 1e-12]
    bin_of = np.minimum((held / 0.005).astype(int), bins - 1)
    clusters, document = np.unique(documents, return_inverse=True)
    document = pd.Series(document, index=documents.index)[held.index]
    histograms = np.zeros((len(clusters), bins))
    np.add.at(histograms, (document, bin_of), 1)
    per_nat = np.array([smooth_derivative(histogram, kernel, reach) for histogram in histograms]) / 0.02
    expected = per_nat.sum(axis=0) / len(values)
    tokens = documents.value_counts()[clusters].to_numpy()[:, None]
    # For the errors, tokens count as spread evenly over bins as wide as a step.
    spread = np.repeat(histograms.reshape(len(clusters), -1, 4).mean(axis=2), 4, axis=1)
    influence = np.array([smooth_derivative(histogram, kernel, reach) for histogram in spread]) / 0.02
    of_all = influence.sum(axis=0) / len(values)
    influence = (influence - of_all * tokens) / len(values)
    for index, value in enumerate(expected):
        checker.number((*path, "density_per_nat", index), max(value, 0))
    at = (*path, "density_standard_errors_per_nat")
    if len(clusters) < FEWEST_DOCUMENTS:
        return checker.number(at, None)
    errors = np.sqrt(len(clusters) / (len(clusters) - 1) * np.square(influence).sum(axis=0))
    for index, error in enumerate(errors):
        checker.number((*at, index), error)


def smooth_derivative(histogram, kernel, reach):
    """At every fourth edge: what lies within two bins of it, after blurring. Beyond both ends it is mirrored."""
    reach += 2
    mirrored = np.concatenate([histogram[:reach][::-1], histogram, histogram[-reach:][::-1]])
    blurred = np.concatenate([[0], np.cumsum(np.convolve(mirrored, kernel, mode="same"))])
    edges = reach + np.arange(0, len(histogram) + 1, 4)
    return blurred[edges + 2] - blurred[edges - 2]


def entropy_pairs(part, path, found):
    checker = part.checker
    for index, pair in enumerate(found):
        first, second = f"entropy_{pair['first']}", f"entropy_{pair['second']}"
        rows = part.rows.assign(difference=part.rows[first] - part.rows[second])
        rows["share"] = (rows[first] < 0.2).astype(float) - (rows[second] < 0.2)
        for name, column in [("mean", "difference"), ("share_below_0_2", "share")]:
            stat = mean(rows, column)
            checker.estimate((*path, index, "mean_nats" if name == "mean" else name), stat)
            checker.tests({(*path, index, f"{name}_test"): stat})
    if len(found) != (3 if part.placebo else 1):
        checker.problem(path, f"has {len(found)} pairs")


def confidence(part, path, found):
    rows, checker = part.rows, part.checker
    cells = {"a_confident": ("a", "b"), "b_confident": ("b", "a")}
    placebo_cells = {"placebo_confident": ("placebo", "b"), "b_confident_over_placebo": ("b", "placebo")}
    families = defaultdict(dict)
    for index, thresholds in enumerate(found):
        at = (*path, index)
        below, above = thresholds["confident_below_nats"], thresholds["uncertain_above_nats"]
        stats_of = {}
        for cell, (sure, unsure) in (cells | placebo_cells).items():
            if cell in placebo_cells and not part.placebo:
                checker.number((*at, cell), None)
                continue
            own = rows[(rows[f"entropy_{sure}"] < below) & (rows[f"entropy_{unsure}"] > above)]
            column = "delta" if cell in cells else "delta_placebo"
            delta = mean(own, column)
            excess = less(delta, mean(rows, column))
            stats_of[cell] = (delta, excess)
            checker.number((*at, cell, "tokens"), len(own))
            checker.number((*at, cell, "documents"), own.document.nunique())
            share(checker, (*at, cell, "share_of_gap"), thresholds[cell]["share_of_gap"], share_of_gap(own, rows, column))
            for name, stat in [("delta", delta), ("excess", excess)]:
                checker.estimate((*at, cell, f"{name}_nats"), stat)
                families[column, name][(*at, cell, f"{name}_test")] = stat
        for difference, first, second in [
            ("a_difference", "a_confident", "placebo_confident"),
            ("b_difference", "b_confident", "b_confident_over_placebo"),
        ]:
            if not part.placebo:
                checker.number((*at, difference), None)
                continue
            for place, name in enumerate(["delta", "excess"]):
                stat = less(stats_of[first][place], stats_of[second][place])
                checker.estimate((*at, difference, f"{name}_nats"), stat)
                families["difference", name][(*at, difference, f"{name}_test")] = stat
    for family in families.values():
        checker.tests(family)


def covariates(part, found):
    """The covariates of each row, in the order of the results; a window's start follows from its mode."""
    rows, window = part.rows, part.window
    sequence = rows.position + (window["beginning_of_text"] is not None)
    step = {"truncate": None, "chunk": window["context"], "slide": window["stride"]}[window["mode"]]
    start = 0 * sequence if step is None else -(-(sequence - window["context"]).clip(lower=0) // step) * step
    previous = sequence.groupby([rows.document, rows.token]).shift()
    return pd.DataFrame({
        "count": np.log(rows["count"]),
        "place": np.log((sequence - start).clip(lower=1)),
        "depth": rows.depth.astype(float),
        "repeated": (previous >= start).astype(float),
        "entropy": rows[f"entropy_{found['entropy_of']}"],
    })


def held_fixed(part, path, found):
    """Least squares on the design matrix written out: a column a category and the covariates."""
    x, checker = covariates(part, found), part.checker
    # What has no entropy of the oracle takes no part; its token may still have occurred before.
    known = x.notna().all(axis=1)
    rows, x = part.rows[known], x[known]
    documents, document = np.unique(rows.document, return_inverse=True)
    checker.number((*path, "tokens"), len(rows))
    checker.number((*path, "documents"), len(documents))
    for index, column in enumerate(x):
        checker.number((*path, "covariates", index, "mean"), x[column].mean())
        checker.number((*path, "covariates", index, "standard_deviation"), x[column].std(ddof=0))
    dummies = pd.get_dummies(rows.category).astype(float)
    kept = independent(dummies, x)
    if len(documents) >= FEWEST_DOCUMENTS:
        kept = told_by_several(dummies, x, kept, document)
    for index, column in enumerate(x):
        said = found["covariates"][index]["dropped_because"]
        if (column in kept) != (said is None):
            checker.problem((*path, "covariates", index), f"takes part: {said is None}, recomputed: {column in kept}")
    centred = (x - x.mean())[kept].to_numpy()
    pairs = [("a", "b"), ("placebo", "b"), ("a", "placebo")][: 3 if part.placebo else 1]
    for index, (first, second) in enumerate(pairs):
        y = (rows[f"loss_{first}"] - rows[f"loss_{second}"]).to_numpy()
        regression((*path, "pairs", index), checker, found["pairs"][index], dummies, centred, y, document, list(x), kept)


def independent(dummies, x):
    """The covariates that neither the categories nor those before them determine."""
    kept = []
    for column in x:
        others = np.hstack([dummies, x[kept]])
        values = x[column].to_numpy()
        within = values - (dummies @ np.linalg.lstsq(dummies, values)[0]).to_numpy()
        left = values - others @ np.linalg.lstsq(others, values)[0]
        if within @ within > 1e-10 * (values @ values) and left @ left > 1e-6 * (within @ within):
            kept.append(column)
    return kept


def told_by_several(dummies, x, kept, document):
    """Those of the covariates that stand alone whichever document is left out."""
    kept, x = list(kept), x[kept].to_numpy()
    design = np.hstack([dummies, x])
    products, categories = design.T @ design, dummies.shape[1]
    for own in pd.Series(range(len(document))).groupby(document).indices.values():
        left = products - design[own].T @ design[own]
        counts = left.diagonal()[:categories].copy()
        sums = left[:categories, categories:] / np.where(counts > 0, counts, np.inf)[:, None]
        within = left[categories:, categories:] - sums.T @ left[:categories, categories:]
        alone = []
        for place in range(len(kept)):
            if kept[place] is None:
                continue
            before, rest = np.ix_(alone, alone), within[alone, place]
            explained = rest @ np.linalg.solve(within[before], rest) if alone else 0.0
            varies = within[place, place] > 1e-10 * left[categories + place, categories + place]
            if varies and within[place, place] - explained > 1e-6 * within[place, place]:
                alone.append(place)
            else:
                kept[place] = None
    return [column for column in kept if column is not None]


def regression(path, checker, found, dummies, centred, y, document, columns, kept):
    design = np.hstack([dummies, centred])
    categories = dummies.shape[1]
    theta = np.linalg.lstsq(design, y)[0]
    residual = y - design @ theta
    checker.number((*path, "r_squared"), 1 - residual @ residual / np.square(y - y.mean()).sum() if y.std() > 0 else None)
    influence, of_means, of_outcome = without_each(design, theta, categories, y, document)
    clusters = len(influence)
    factor = (clusters - 1) / clusters
    stat = lambda value, influence, documents: Stat(value, influence, documents, factor)  # noqa: E731
    family = {}
    for index, column in enumerate(columns):
        at, slope = (*path, "slopes", index), None
        if column in kept:
            place = categories + kept.index(column)
            slope = stat(theta[place], influence[:, place], clusters)
        t_estimate(checker, (*at, "delta_nats_per_unit"), slope)
        family[(*at, "delta_test")] = slope
    checker.tests(family)
    family = {}
    for index, row in enumerate(found["categories"]):
        at, place = (*path, "categories", index), dummies.columns.get_loc(row["name"])
        own = dummies[row["name"]].to_numpy() > 0
        documents = len(set(document[own]))
        adjusted = stat(theta[place], influence[:, place] + of_means, documents)
        excess = stat(theta[place] - y.mean(), adjusted.influence - of_outcome, documents) if categories > 1 else None
        checker.number((*at, "tokens"), own.sum())
        checker.number((*at, "documents"), documents)
        t_estimate(checker, (*at, "delta_nats"), adjusted)
        t_estimate(checker, (*at, "excess_nats"), excess)
        family[(*at, "excess_test")] = excess
    checker.tests(family)
    if len(found["categories"]) != categories:
        checker.problem((*path, "categories"), f"has {len(found['categories'])} rows, recomputed {categories}")


def without_each(design, theta, categories, y, document):
    """What leaving out each document does to the coefficients, to the covariates' means times their slopes, and to the mean outcome."""
    products, outcomes, sums = design.T @ design, design.T @ y, design.sum(axis=0)
    changes, of_means, of_outcome = [], [], []
    order = np.argsort(document, kind="stable")
    starts = np.searchsorted(document[order], np.arange(document.max() + 2))
    for first, last in zip(starts, starts[1:]):
        own = order[first:last]
        x, left = design[own], len(y) - len(own)
        # A category that only this document has is gone; a row of zeros stands for it.
        present = np.append(sums[:categories] - x.sum(axis=0)[:categories] > 0, np.full(len(theta) - categories, True))
        some = np.ix_(present, present)
        without = np.full(len(theta), np.nan)
        without[present] = np.linalg.solve((products - x.T @ x)[some], (outcomes - x.T @ y[own])[present])
        changes.append(without - theta)
        means = (sums - x.sum(axis=0))[categories:] / left
        of_means.append(means @ without[categories:])
        of_outcome.append((y.sum() - y[own].sum()) / left - y.mean())
    return np.array(changes), np.array(of_means), np.array(of_outcome)


def t_estimate(checker, path, stat):
    """An estimate whose interval is a t interval."""
    checker.estimate(path, stat)
    if stat is None or stat.standard_error is None:
        return
    half = stats.t.isf(0.025, stat.documents - 1) * stat.standard_error
    checker.number((*path, "interval", 0), stat.value - half)
    checker.number((*path, "interval", 1), stat.value + half)


def reliability(part, path, found):
    """Fifteen bins of the likeliest entry's probability; as in the results, a bin's sign is that of the whole corpus."""
    guessed = [role for role in part.roles if f"top_token_{role}" in part.rows]
    if [model["role"] for model in found] != guessed:
        part.checker.problem(path, f"has {len(found)} models, recomputed {guessed}")
    for index, role in enumerate(guessed):
        for name, column in [("as_scored", f"top_probability_{role}"), ("calibrated", f"top_probability_calibrated_{role}")]:
            at = (*path, index, name)
            if column not in part.rows:
                part.checker.number(at, None)
                continue
            diagram(part.checker, at, part.rows, part.rows[column], part.rows.token == part.rows[f"top_token_{role}"])


def diagram(checker, path, rows, probability, hit):
    bins = np.ceil(probability * 15).clip(1, 15) - 1
    gap = hit - probability
    sign = np.where(gap.groupby(bins).transform("sum") < 0, -1.0, 1.0)
    checker.estimate((*path, "expected_calibration_error"), mean(rows.assign(gap=gap * sign), "gap"))
    checker.estimate((*path, "overconfidence"), mean(rows.assign(gap=-gap), "gap"))
    for index in range(15):
        own, at = bins == index, (*path, "bins", index)
        checker.number((*at, "above"), index / 15)
        checker.number((*at, "up_to"), (index + 1) / 15)
        checker.number((*at, "tokens"), own.sum())
        checker.number((*at, "mean_probability"), probability[own].mean())
        checker.number((*at, "accuracy"), hit[own].mean())
        checker.estimate((*at, "gap"), mean(rows.assign(gap=gap)[own], "gap"))


def oracle(part, path, found):
    """Bins of equal count by the oracle's entropy, and the line through all tokens. Null where there is no oracle."""
    checker = part.checker
    if "entropy_oracle" not in part.rows:
        return checker.number(path, None)
    rows = part.rows[part.rows.entropy_oracle.notna()]
    checker.number((*path, "tokens"), len(rows))
    checker.number((*path, "without_value"), len(part.rows) - len(rows))
    # As the results say, with many tokens entropies are told apart by the upper 20 bits of their floats (which order
    # positive numbers as the numbers do); a bin ends with the last token that has the value of its last rank.
    upper, below = rows.entropy_oracle.astype(np.float32).to_numpy().view(np.uint32), 12 if len(rows) > 1 << 18 else 0
    kept = upper >> below
    ends = np.unique(np.sort(kept)[[-(-k * len(kept) // 20) - 1 for k in range(1, 21) if k * len(kept) > 0]])
    of_bin = pd.Series(np.searchsorted(ends, kept) + 1, index=rows.index)
    groups = {str(index): own for index, own in rows.groupby(of_bin)}
    delta_rows(part, (*path, "bins"), found["bins"], groups)
    points = []
    for index, row in enumerate(found["bins"]):
        own, at = groups[row["name"]], (*path, "bins", index)
        largest = np.uint32((int(ends[int(row["name"]) - 1]) << below) | ((1 << below) - 1)).view(np.float32)
        checker.number((*at, "up_to_nats"), float(largest))
        points.append((own.entropy_oracle.mean(), own.delta.mean()))
        checker.number((*at, "mean_entropy_nats"), points[-1][0])
    signed = [(entropy, delta) for entropy, delta in points if delta != 0]
    crossings = [
        left + (right - left) * before / (before - after)
        for (left, before), (right, after) in zip(signed, signed[1:])
        if before * after < 0
    ]
    if len(crossings) != len(found["crossings_nats"]):
        checker.problem((*path, "crossings_nats"), f"are {found['crossings_nats']}, recomputed {crossings}")
    for index, crossing in enumerate(crossings):
        checker.number((*path, "crossings_nats", index), crossing)
    slope = trend(checker, (*path, "trend"), rows, "delta")
    placebo = trend(checker, (*path, "placebo_trend"), rows, "delta_placebo") if part.placebo else None
    if placebo is None:
        checker.number((*path, "placebo_trend"), None)
    checker.estimate((*path, "slope_difference"), less(slope, placebo))
    checker.tests({(*path, "slope_difference_test"): less(slope, placebo)})


def trend(checker, path, rows, column):
    """Least squares of a column on the oracle's entropy; gives the slope."""
    x, y = rows.entropy_oracle - rows.entropy_oracle.mean(), rows[column]
    if not x.std() > 0:
        return checker.number(path, None)
    value = (x * y).sum() / (x * x).sum()
    intercept = y.mean() - value * rows.entropy_oracle.mean()
    residual = y - y.mean() - value * x
    influence = (x * residual).groupby(rows.document).sum() / (x * x).sum()
    slope = Stat(value, influence, len(influence))
    checker.estimate((*path, "slope"), slope)
    checker.tests({(*path, "slope_test"): slope})
    # Their intervals are resampled; they carry no standard error.
    checker.number((*path, "intercept_nats", "value"), intercept)
    checker.number((*path, "intercept_nats", "standard_error"), None)
    # A slope that moves Δ by less than rounding crosses nowhere.
    if abs(value) * x.std(ddof=0) <= 1e-12 * abs(y.mean()):
        checker.number((*path, "crossing_nats"), None)
    else:
        checker.number((*path, "crossing_nats", "value"), -intercept / value)
        checker.number((*path, "crossing_nats", "standard_error"), None)
    return slope


SECTIONS = {
    "overall": overall,
    "correlation": correlation,
    "categories": categories,
    "brackets": brackets,
    "entropy": entropy,
    "entropy_pairs": entropy_pairs,
    "confidence": confidence,
    "oracle": oracle,
    "held_fixed": held_fixed,
    "reliability": reliability,
}


def load(folder, calibrated):
    rows = pd.read_parquet(folder / "joined.parquet")
    if calibrated:
        # Every loss and entropy of such results is at the model's temperature.
        for column in [column for column in rows if re.match("(loss|entropy)_calibrated_", column)]:
            rows[column.replace("_calibrated", "")] = rows[column]
    losses = [column for column in rows if re.match("loss_|entropy_|top_probability_", column)]
    rows = rows.astype({column: float for column in losses} | {"position": np.int64})
    rows["bytes"] = rows.byte_end.astype(np.int64) - rows.byte_start
    rows["delta"] = rows.loss_a - rows.loss_b
    if "loss_placebo" in rows:
        rows["delta_placebo"] = rows.loss_placebo - rows.loss_b
    rows["count"] = rows.groupby("token").token.transform("size")
    return rows


def check_basis(checker, setup, rows, path):
    """All documents and both halves on one basis."""
    halves = Counter(rows.split)
    for name in PARTS:
        at = (*path, name)
        if name != "all" and not halves[name]:
            checker.number(at, None)
        elif checker.at(path).get(name) is None:
            checker.problem(at, "is missing, though documents with this split are joined")
        else:
            Part(checker, setup, rows if name == "all" else rows[rows.split == name], at).check()


def check_delta(checker, setup, folder):
    """The column that a notebook starts from is of the basis that leads."""
    suffix = "_calibrated" if setup.get("basis") == "calibrated" else ""
    rows = pd.read_parquet(folder / "joined.parquet", columns=["delta", f"loss{suffix}_a", f"loss{suffix}_b"]).astype(float)
    if (rows["delta"] != rows[f"loss{suffix}_a"] - rows[f"loss{suffix}_b"]).any():
        checker.problem(("setup", "basis"), "is not the basis of the column `delta`")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    checker = Checker(results)
    check_basis(checker, results["setup"], load(folder, calibrated=False), ())
    columns = pq.read_schema(folder / "joined.parquet").names
    if not all(f"loss_calibrated_{model['role']}" in columns for model in results["setup"]["models"]):
        checker.number(("calibrated",), None)
    elif results.get("calibrated") is None:
        checker.problem(("calibrated",), "is missing, though every run has calibrated losses")
    else:
        check_basis(checker, results["setup"], load(folder, calibrated=True), ("calibrated",))
    check_delta(checker, results["setup"], folder)
    for section in results.keys() - {"schema", "setup", "calibrated", *PARTS}:
        checker.problem((section,), "is a section that bench/recompute.py does not know")
    for section in (results.get("calibrated") or {}).keys() - {*PARTS}:
        checker.problem(("calibrated", section), "is a section that bench/recompute.py does not know")
    return checker.finish()


if __name__ == "__main__":
    sys.exit(main())
