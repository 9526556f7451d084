"""Print the README's table of methods from ``benchmarks/results/direct-targets.json``."""

import json

from measure import RESULTS


def main() -> None:
    record = json.loads((RESULTS / "direct-targets.json").read_text(encoding="utf-8"))
    print("| data and control | method | cost | balance | best possible | gap |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in record["rows"]:
        best = row["cheapest"]
        gap = "< 1e-7" if best["gap"] < 1e-7 else f"{best['gap']:.1e}"
        print(
            f"| {row['data']} | FCA, direct | {best['cost']:.4f} | {best['balance']:.4f} | "
            f"{best['max_balance']:.4f} | {gap} |"
        )
    ends = [(name, one) for name, starts in record["starts"].items() for one in starts if one["status"] != 0]
    for name, one in ends:
        print(f"status {one['status']}: {name}, seed {one['seed']}, gap {one['gap']:.1e}")


if __name__ == "__main__":
    main()
