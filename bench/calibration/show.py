"""Prints a comparison's temperatures, mean differences and confidence cells on both bases, a line each: show.py MODEL FACTOR
RESULTS."""
import json
import sys

model, factor, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    results = json.load(file)
setup = results["setup"]
temperatures = ", ".join(f"T of {run['role']} {run['run']['temperature']:.4f}" for run in setup["models"])


def shown(estimate):
    """A number with its interval."""
    interval = estimate["interval"]
    ends = f" [{interval[0]:+.4f}, {interval[1]:+.4f}]" if interval else ""
    return f"{estimate['value']:+.4f}{ends}"


print(f"{model} x {factor}: {temperatures}; {setup['documents']} documents, {setup['tokens']} tokens")
for basis, sections in (("as scored", results["all"]), ("calibrated", results["calibrated"]["all"])):
    print(f"  {basis}: mean delta {shown(sections['overall']['pairs'][0]['mean_delta_nats'])}")
    for row in sections["confidence"]:
        for cell in ("a_confident", "b_confident"):
            if row[cell]["tokens"]:
                thresholds = f"below {row['confident_below_nats']}, other above {row['uncertain_above_nats']}"
                print(f"    {cell} {thresholds}: {row[cell]['tokens']} tokens, delta {shown(row[cell]['delta_nats'])}")
for found in results["all"]["reliability"]:
    errors = [found[basis]["expected_calibration_error"] for basis in ("as_scored", "calibrated")]
    print(f"  ECE of {found['role']}: as scored {shown(errors[0])}, calibrated {shown(errors[1])}")
