"""Protected attributes from Python: one or several, of any container, and one sentence for each fault."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fairjax._core.group_codes import encode, encode_known, name_of
from fairjax.errors import InputError

SEX, REGION = ["f", "m", "f", "m", "f"], [1, 1, 2, 2, 1]
BOTH = {
    "pandas": pd.DataFrame({"sex": SEX, "region": REGION}, index=list("abcde")),
    "two columns of one name": pd.DataFrame(list(zip(SEX, REGION, strict=True)), columns=["a", "a"]),
    "polars": pl.DataFrame({"sex": SEX, "region": REGION}),
    "arrow": pa.table({"sex": SEX, "region": REGION}),
    "dict": {"sex": SEX, "region": np.array(REGION)},
    "list of columns": [SEX, pd.Series(REGION)],
    "tuple of arrays": (np.array(SEX), np.array(REGION)),
    "categories": pd.DataFrame({"sex": pd.Categorical(SEX), "region": pd.Categorical(REGION)}),
}


@pytest.mark.parametrize("container", BOTH)
def test_each_combination_is_a_group(container):
    ids, values = encode(BOTH[container], 5)
    assert values.tolist() == [("f", 1), ("f", 2), ("m", 1), ("m", 2)]
    assert ids.tolist() == [0, 2, 1, 3, 0]
    assert [name_of(value) for value in values] == ["f, 1", "f, 2", "m, 1", "m, 2"]
    assert encode_known(BOTH[container], 5, values.tolist()).tolist() == ids.tolist()


@pytest.mark.parametrize(
    "values",
    [SEX, tuple(SEX), np.array(SEX), pd.Series(SEX), pl.Series(SEX), pa.array(SEX),
     pa.chunked_array([SEX[:2], SEX[2:]]),
     pd.DataFrame({"sex": SEX}), {"sex": SEX}, [np.array(SEX)], np.array(SEX)[:, None], pl.DataFrame({"sex": SEX})],
    ids=lambda values: type(values).__name__,
)  # fmt: skip
def test_one_attribute_is_its_own_values(values):
    ids, distinct = encode(values, 5)
    assert (ids.tolist(), distinct.tolist()) == ([0, 1, 0, 1, 0], ["f", "m"])


def test_values_of_several_types_and_tuples_stay_apart():
    _, distinct = encode([1, "1", 1.5, True, (1, 2)], 5)
    assert len(distinct) == 4  # True and 1 are equal in Python
    assert encode([("a", 1), ("a", 2), ("a", 1)], 3)[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sex": SEX, "region": REGION[:4]}, r"sensitive_features\['region'\] has 4 values for 5 rows"),
        (
            pd.DataFrame({"sex": ["f", None, "m", "f", "m"], "region": REGION}),
            r"\['sex'\] has 1 missing value,.*index 1",
        ),
        ({}, "has no columns"),
        (np.zeros((5, 2, 2)), r"has shape \(5, 2, 2\); expected \(n,\) or \(n, m\)"),
        ([["f"], ["m"], ["f"], ["m"], ["f"]], "cannot be hashed"),
        ([SEX, REGION[:4]], "has 2 values for 5 rows"),
    ],
)
def test_faults(values, message):
    with pytest.raises(InputError, match=message):
        encode(values, 5)


def test_a_combination_that_was_not_seen_is_named():
    _, known = encode({"sex": SEX, "region": REGION}, 5)
    with pytest.raises(InputError, match=r"\('f', 3\), not seen when fitting"):
        encode_known({"sex": ["f"], "region": [3]}, 1, known.tolist())


def test_days_are_named_without_a_time():
    days = np.array(["2020-01-01T00:00", "2021-05-06T07:08", "2020-01-01T00:00"], "M8[ns]")
    _, values = encode(days, 3)
    assert [name_of(value) for value in values] == ["2020-01-01", "2021-05-06 07:08:00"]
