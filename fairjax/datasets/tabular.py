"""Readers of the tabular benchmarks: Adult, Bank, Census 1990, and the bundled diabetes cohort."""

import io
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairjax.datasets import sources
from fairjax.datasets.dataset import Dataset, choose, draw_rows, prepare
from fairjax.datasets.files import find, read
from fairjax.errors import InputError

_ADULT_COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country",
    "income",
)  # fmt: skip
_ADULT_FEATURES = ("age", "fnlwgt", "education-num", "capital-gain", "hours-per-week")
_BANK_FEATURES = ("age", "duration", "euribor3m", "nr.employed", "cons.price.idx", "campaign")
# Columns of UCI's raw file, counted from 0, that the sample's 25 fit in order and range (an inference).
_CENSUS_COLUMNS = (
    12, 35, 36, 47, 53, 54, 55, 58, 60, 63, 64, 65, 73, 80, 81, 93, 94, 95, 96, 101, 109, 116, 118, 122, 124,
)  # fmt: skip
_CENSUS_LEFT_OUT = ("caseid", "dAge", "iSex")  # an identifier and the two attributes that may be protected


def load_adult(
    *,
    subset: Literal["train", "test", "all"] = "train",
    drop_missing: bool = False,
    standardize: bool = True,
    l2_normalize: bool = False,
    dtype: npt.DTypeLike = np.float64,
    download: bool = False,
) -> Dataset:
    """Read UCI Adult: people of the 1994 US census, grouped by sex.

    The defaults are the FCA protocol: the 32,561 rows of ``adult.data``, none dropped, with the columns age,
    fnlwgt, education-num, capital-gain and hours-per-week, standardised; its L2 setting is
    ``l2_normalize=True``.

    Parameters
    ----------
    subset : {"train", "test", "all"}
        ``adult.data`` (32,561 rows), ``adult.test`` (16,281 rows), or the first followed by the second.
    drop_missing : bool
        Leave out rows with a "?" in any column: 30,162 and 15,060 rows remain.
    standardize : bool
        Give each column mean 0 and population standard deviation 1.
    l2_normalize : bool
        Then divide each row by its Euclidean norm, floored at 1e-7.
    dtype : dtype
        Floating type of ``X``.
    download : bool
        Fetch files that are not found from UCI into the user's cache.

    Returns
    -------
    Dataset
        Groups Female 0, Male 1; ``target`` is 1 for an income above 50,000 dollars a year.

    Raises
    ------
    InputError
        When a file is missing, damaged or not the original, or an option is not known.
    """
    import pandas as pd

    choose("subset", subset, ("train", "test", "all"))
    files = {"train": [sources.ADULT_TRAIN], "test": [sources.ADULT_TEST]}
    parts = [
        pd.read_csv(
            io.BytesIO(read(file, download=download)),
            names=list(_ADULT_COLUMNS),
            skiprows=1 if file is sources.ADULT_TEST else 0,  # its first line is a remark
            skipinitialspace=True,
            na_values="?",
        )
        for file in files.get(subset, [sources.ADULT_TRAIN, sources.ADULT_TEST])
    ]
    table = pd.concat(parts, ignore_index=True)
    if drop_missing:
        table = table.dropna()
    sex = table["sex"].to_numpy(dtype=object)
    raw = table[list(_ADULT_FEATURES)].to_numpy(dtype=np.float64)
    return Dataset(
        name="adult",
        X=prepare(raw, standardize=standardize, l2_normalize=l2_normalize, dtype=dtype),
        standardized=standardize,
        l2_normalized=l2_normalize,
        feature_names=_ADULT_FEATURES,
        groups=(sex == "Male").astype(np.int32),
        group_names=("Female", "Male"),
        sensitive=sex,
        # adult.test ends its incomes in a full stop
        target=table["income"].str.startswith(">50K").to_numpy(dtype=np.int32),
        target_names=("<=50K", ">50K"),
        raw=raw,
        rows=table.index.to_numpy(dtype=np.int64),
        source=sources.ADULT_SOURCE,
        licence=sources.CC_BY,
    )


def load_bank(
    *,
    groups: Literal["married", "marital"] = "married",
    standardize: bool = True,
    l2_normalize: bool = False,
    dtype: npt.DTypeLike = np.float64,
    download: bool = False,
) -> Dataset:
    """Read UCI Bank Marketing (``bank-additional-full.csv``), grouped by marital status.

    The defaults are the FCA protocol: the 80 rows of unknown status are left out (41,108 remain); the columns
    are age, duration, euribor3m, nr.employed, cons.price.idx and campaign, standardised.

    Parameters
    ----------
    groups : {"married", "marital"}
        Two groups, not married 0 and married 1, with all rows of the first before those of the second as in
        the FCA code; or three, divorced 0, married 1, single 2, in the order of the file.
    standardize, l2_normalize, dtype, download
        As for `load_adult`.

    Returns
    -------
    Dataset
        ``target`` is 1 where the client subscribed a term deposit.

    Raises
    ------
    InputError
        When the file is missing, damaged or not the original, or an option is not known.
    """
    import pandas as pd

    choose("groups", groups, ("married", "marital"))
    table = pd.read_csv(io.BytesIO(read(sources.BANK, download=download)), sep=";")
    table = table[table["marital"] != "unknown"]
    if groups == "married":
        married = table["marital"] == "married"
        table = pd.concat([table[~married], table[married]])
        sensitive = np.where(table["marital"] == "married", "married", "not married").astype(object)
        group_names: tuple[str, ...] = ("not married", "married")
    else:
        sensitive = table["marital"].to_numpy(dtype=object)
        group_names = ("divorced", "married", "single")
    raw = table[list(_BANK_FEATURES)].to_numpy(dtype=np.float64)
    return Dataset(
        name="bank" if groups == "married" else "bank-marital",
        X=prepare(raw, standardize=standardize, l2_normalize=l2_normalize, dtype=dtype),
        standardized=standardize,
        l2_normalized=l2_normalize,
        feature_names=_BANK_FEATURES,
        groups=_ids(sensitive, group_names),
        group_names=group_names,
        sensitive=sensitive,
        target=(table["y"] == "yes").to_numpy(dtype=np.int32),
        target_names=("no", "yes"),
        raw=raw,
        rows=table.index.to_numpy(dtype=np.int64),
        source=sources.BANK_SOURCE,
        licence=sources.CC_BY,
    )


def load_census(
    *,
    form: Literal["auto", "raw", "discretised"] = "auto",
    n_samples: int | None = None,
    random_state: int = 0,
    standardize: bool = True,
    l2_normalize: bool = False,
    dtype: npt.DTypeLike = np.float64,
    download: bool = False,
) -> Dataset:
    """Read a sample of the US Census of 1990, grouped by sex.

    Two files are in use. The raw form (``subsampled_census1990.txt`` with ``..._Color.txt``) has 3,000 rows
    of 25 numeric columns. The discretised form (``subsampled_census1990.csv``, with UCI's column names) is
    the one of the FCA code, which draws 20,000 rows of it without a fixed seed and takes every column but
    caseid, dAge and iSex: 66 features.

    Parameters
    ----------
    form : {"auto", "raw", "discretised"}
        Which form to read; "auto" takes the raw one, which can be checked, unless only the
        other is found.
    n_samples : int or None
        Draw this many rows without replacement, kept in the order of the file; None takes all.
    random_state : int
        Seed of that draw.
    standardize, l2_normalize, dtype
        As for `load_adult`.
    download : bool
        Neither form has an address that can be relied on: the error says where to get the file.

    Returns
    -------
    Dataset
        Groups named after the code in the file, which of the two is female being left unsaid by the raw form.

    Raises
    ------
    InputError
        When a file is missing, damaged or not the expected one, or an option is not known.
    """
    choose("form", form, ("auto", "raw", "discretised"))
    if form == "auto":
        only_discretised = find(sources.CENSUS_POINTS) is None and find(sources.CENSUS_DISCRETISED) is not None
        form = "discretised" if only_discretised else "raw"
    read_form = _census_raw if form == "raw" else _census_discretised
    raw, sensitive, feature_names = read_form(download)
    rows = draw_rows(len(raw), n_samples, random_state)
    raw, sensitive = raw[rows], sensitive[rows]
    codes, ids = np.unique(sensitive, return_inverse=True)
    return Dataset(
        name="census",
        X=prepare(raw, standardize=standardize, l2_normalize=l2_normalize, dtype=dtype),
        standardized=standardize,
        l2_normalized=l2_normalize,
        feature_names=feature_names,
        groups=ids.astype(np.int32),
        group_names=tuple(str(code) for code in codes),
        sensitive=sensitive,
        raw=raw,
        rows=rows,
        source=f"{sources.CENSUS_SOURCE}, {form} form",
        licence=sources.CC_BY,
    )


def load_diabetes(
    *, standardize: bool = True, l2_normalize: bool = False, dtype: npt.DTypeLike = np.float64
) -> Dataset:
    """Return the diabetes cohort that scikit-learn bundles: 442 patients, nine measurements, grouped by sex.

    The columns are age, body mass index, blood pressure and six serum values; sex is the group and no
    feature. The source codes sex as 1 and 2 and does not say which is which, so the groups keep those names.

    Parameters
    ----------
    standardize, l2_normalize, dtype
        As for `load_adult`.

    Returns
    -------
    Dataset
        ``target`` is the progression of the disease one year after baseline, a real number.

    Examples
    --------
    >>> data = load_diabetes()
    >>> data.X.shape, data.group_names, round(data.max_balance, 4)
    ((442, 9), ('1', '2'), 0.8809)
    """
    from sklearn.datasets import load_diabetes as bundled

    cohort = bundled(scaled=False)
    names = list(cohort.feature_names)
    kept = [i for i, name in enumerate(names) if name != "sex"]
    raw = np.asarray(cohort.data, dtype=np.float64)[:, kept]
    sex = np.asarray(cohort.data)[:, names.index("sex")].astype(np.int64)
    return Dataset(
        name="diabetes",
        X=prepare(raw, standardize=standardize, l2_normalize=l2_normalize, dtype=dtype),
        standardized=standardize,
        l2_normalized=l2_normalize,
        feature_names=tuple(names[i] for i in kept),
        groups=(sex - 1).astype(np.int32),
        group_names=("1", "2"),
        sensitive=sex,
        target=np.asarray(cohort.target, dtype=np.float64),
        raw=raw,
        rows=np.arange(len(raw)),
        source=sources.DIABETES_SOURCE,
        licence="none stated by the source; scikit-learn distributes it under BSD-3-Clause",
    )


def _census_raw(download: bool) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any], tuple[str, ...]]:
    raw = np.loadtxt(io.BytesIO(read(sources.CENSUS_POINTS, download=download)), delimiter=",", dtype=np.float64)
    sex = np.loadtxt(io.BytesIO(read(sources.CENSUS_GROUPS, download=download)), dtype=np.int64)
    return raw, sex, tuple(f"column {i}" for i in _CENSUS_COLUMNS)


def _census_discretised(
    download: bool,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any], tuple[str, ...]]:
    import pandas as pd

    content = read(sources.CENSUS_DISCRETISED, download=download)
    # No digest is published for this form, so what it must hold is checked instead.
    try:
        table = pd.read_csv(io.BytesIO(content), skipinitialspace=True)
        missing = [name for name in _CENSUS_LEFT_OUT[1:] if name not in table.columns]
        if missing:
            raise ValueError(f"it lacks the column {missing[0]}")
        features = [name for name in table.columns if name not in _CENSUS_LEFT_OUT and not name.startswith("Unnamed")]
        raw = table[features].to_numpy(dtype=np.float64)
        sex = table["iSex"].to_numpy(dtype=np.int64)
        if len(raw) == 0 or not np.isfinite(raw).all():
            raise ValueError("it holds no rows, or empty cells")
    except ValueError as error:
        raise InputError(
            f"{find(sources.CENSUS_DISCRETISED)} cannot be read as the discretised census ({error}); "
            "expected UCI's header line and whole numbers"
        ) from error
    return raw, sex, tuple(features)


def _ids(values: npt.NDArray[Any], names: tuple[str, ...]) -> npt.NDArray[np.int32]:
    ids = np.zeros(len(values), dtype=np.int32)
    for i, name in enumerate(names):
        ids[values == name] = i
    return ids
