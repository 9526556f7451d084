"""Fair clusters of the US census of 1994, balanced by sex; the bundled cohort where that file is not at hand."""

from fairjax import FCA, datasets
from fairjax.errors import InputError


def read() -> datasets.Dataset:
    """Return Adult if FAIRJAX_DATA names the folder that holds it, otherwise scikit-learn's diabetes cohort."""
    try:
        return datasets.load_adult(l2_normalize=True)
    except InputError as error:
        print(f"{error}\nGoing on with the bundled diabetes cohort.\n")
        return datasets.load_diabetes()


def main() -> None:
    data = read()
    model = FCA(n_clusters=10, random_state=0).fit(data.X, sensitive_features=data.groups)
    print(f"{data.name}: {data.n_samples:,} points, groups {', '.join(data.group_names)}")
    print(f"cost {model.cost_:.4f} after {model.n_iter_} turns")
    print(f"balance {model.balance_:.4f}, best possible {model.max_balance_:.4f}")
    print(f"at most {100 * model.gap_:.4f}% above the cheapest assignment to these centres that is as fair")
    newcomers = model.predict(data.X[:5], sensitive_features=data.groups[:5])
    print(f"clusters of the first five, seen as new people: {newcomers.tolist()}")


if __name__ == "__main__":
    main()
