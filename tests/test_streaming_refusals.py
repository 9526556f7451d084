"""Tables that cannot be streamed, and options that streaming has not: one sentence for each."""

import numpy as np
import pytest
from streaming_cases import G40, X40, K, cut, people

from fairjax import FCA
from fairjax.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Changing:
    """A table that is another one when it is read again."""

    def __init__(self, *tables):
        self.tables = list(tables)

    def __iter__(self):
        return iter(self.tables.pop(0) if len(self.tables) > 1 else self.tables[0])


def bad(**changes):
    X, groups = people(40)
    X[7, 1] = changes.get("value", X[7, 1])
    return cut(X, groups, 5, 20)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (iter(cut(X40, G40)), "can be read only once"),
        (X40, "expected blocks"),
        ([], "no rows"),
        ([X40], "expected (features, groups)"),
        (bad(value=np.nan), "row 7 (from 0) holds nan in feature 1"),
        ([(X40, G40), (X40[:, :2], G40)], "has 2 features, those before 3"),
        ([(X40, G40), (X40, None)], "in a block with groups, others in one without"),
        ([(X40, G40[:3])], "3 values for 40 rows"),
        ([(X40.astype(str), G40)], "expected numbers"),
        ([(X40, G40, np.full(40, -1.0))], "row 0 (from 0) has the weight -1"),
        ([(X40, G40, np.ones(40)), (X40, G40)], "only some blocks have weights"),
        ([(X40, G40, (G40 != "b").astype(float))], "the group 'b' has no weight"),
        ([(X40[:3], G40[:3])], "3 rows, less than n_clusters=4"),
        (Changing(cut(X40, G40), cut(X40[:30], G40[:30])), "had 40 rows when it was first read and now has 30"),
        (Changing(cut(X40, G40), cut(X40, np.where(np.arange(40) == 9, "d", G40))), "row 9 (from 0) has the group 'd'"),
    ],
)  # fmt: skip
def test_bad_tables_end_in_a_sentence(table, words):
    with pytest.raises(InputError) as told:
        FCA(K, random_state=0).fit_blocks(table)
    assert words in str(told.value)


def test_other_routes_are_refused():
    with pytest.raises(InputError, match="direct"):
        FCA(K, method="exact").fit_blocks(cut(X40, G40))
    with pytest.raises(InputError, match="each combination of several attributes is a group"):
        FCA(K, attributes="separately").fit_blocks(cut(X40, G40))
    with pytest.raises(InputError, match="on one device"):
        FCA(K, n_devices=2).fit_blocks(cut(X40, G40))
    with pytest.raises(InputError, match="checkpoint_dir"):
        FCA(K).fit_blocks(cut(X40, G40), resume=True)
