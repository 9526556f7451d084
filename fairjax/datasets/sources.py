"""The public files that the readers know: names, places, SHA-256 digests, terms."""

from fairjax.datasets.files import DataFile

_UCI = "https://archive.ics.uci.edu/static/public"
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass"

CC_BY = "CC BY 4.0, as UCI lists it"

ADULT_SOURCE = "UCI Machine Learning Repository, Adult (Becker and Kohavi, 1996)"
ADULT_TRAIN = DataFile(
    name="adult.data",
    paths=("adult/adult.data", "adult.data"),
    sha256=("5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",),
    url=f"{_UCI}/2/adult.zip",
    members=("adult.data",),
)
ADULT_TEST = DataFile(
    name="adult.test",
    paths=("adult/adult.test", "adult.test"),
    sha256=("a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",),
    url=f"{_UCI}/2/adult.zip",
    members=("adult.test",),
)

BANK_SOURCE = "UCI Machine Learning Repository, Bank Marketing (Moro, Cortez and Rita, 2014)"
BANK = DataFile(
    name="bank-additional-full.csv",
    paths=(
        "bank/bank-additional-full.csv",
        "bank-additional/bank-additional-full.csv",
        "bank-additional-full.csv",
    ),
    sha256=("74adfc578bf77a7ff4bb1ba4a9f8709d9e3c6907342959c2c8416847e0afb4d8",),
    url=f"{_UCI}/222/bank+marketing.zip",
    members=("bank-additional.zip", "bank-additional/bank-additional-full.csv"),
)

CENSUS_SOURCE = "UCI Machine Learning Repository, US Census Data (1990)"
_CENSUS_SAMPLE = "take it from the folder Datasets of the GitHub repository rebpan/FFC"


def _census(name: str, sha256: tuple[str, ...] = (), remedy: str = _CENSUS_SAMPLE) -> DataFile:
    return DataFile(
        name=name,
        paths=(f"census1990/{name}", f"census/{name}", name),
        sha256=sha256,
        remedy=remedy,
    )


CENSUS_POINTS = _census(
    "subsampled_census1990.txt", ("ff302707743a403bebd9fbfbdd51c3323e5f5000dd232f73f510253303d9dab1",)
)
CENSUS_GROUPS = _census(
    "subsampled_census1990_Color.txt", ("a81f190531d86f1f2eb5b7867a74021c40aabb865eeae4bd69644a441023c8d4",)
)
CENSUS_DISCRETISED = _census(
    "subsampled_census1990.csv",
    remedy=f"take rows of USCensus1990.data.txt, header included, from {_UCI}/116/us+census+data+1990.zip",
)

MNIST_SOURCE = "MNIST (LeCun, Cortes and Burges)"
MNIST_LICENCE = "commonly given as CC BY-SA 3.0; the files state none"


def _mnist(name: str, sha256: str) -> DataFile:
    return DataFile(
        name=name,
        paths=(f"mnist/{name}", f"MNIST/raw/{name}", name),
        sha256=(sha256,),
        url=f"{_MNIST}/{name}.gz",
    )


MNIST = {
    "train": (
        _mnist("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        _mnist("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ),
    "test": (
        _mnist("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        _mnist("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
}

USPS_SOURCE = "USPS digits (Hull, 1994), in the text layout of LIBSVM"
USPS_LICENCE = "none stated"
USPS = {
    "train": DataFile(
        name="usps.bz2",
        paths=("usps/usps", "usps", "usps/usps_from_h5"),
        sha256=("9a0edcd5b0ba3685318746f8e8fc945bc00e8cac60692e2cea60e4f1b47b49f1",),
        md5=("ec16c51db3855ca6c91edd34d0e9b197",),
        url=f"{_LIBSVM}/usps.bz2",
    ),
    "test": DataFile(
        name="usps.t.bz2",
        paths=("usps/usps.t", "usps.t", "usps/usps_from_h5.t"),
        sha256=("8d8b5579704b88819f3bde76ebc93e284ffee6ba3892c2146a649ff198972be4",),
        md5=("8ea070ee2aca1ac39742fdd1ef5ed118",),
        url=f"{_LIBSVM}/usps.t.bz2",
    ),
}

HAR_SOURCE = "UCI Machine Learning Repository, Human Activity Recognition Using Smartphones (Anguita et al., 2013)"
HAPT_SOURCE = (
    "561 features derived from the raw signals of UCI's Smartphone-Based Recognition of Human Activities and "
    "Postural Transitions (Reyes-Ortiz et al., 2015); not UCI HAR's own matrix"
)
HAR_LICENCE = f"{CC_BY}; the authors ask to be cited and forbid commercial use"
_HAR_REMEDY = (
    f"unzip {_UCI}/240/human+activity+recognition+using+smartphones.zip and the archive inside it, take the file"
)


def _har(name: str, part: str, sha256: tuple[str, ...] = ()) -> DataFile:
    inside = f"UCI HAR Dataset/{part}{name}"
    return DataFile(
        name=name,
        paths=(f"har/{inside}", inside, f"har/{name}", f"har/uci_har_{name}"),
        sha256=sha256,
        remedy=_HAR_REMEDY,
    )


HAR_FEATURES = _har("features.txt", "", ("b384889885b1c8680ecf250e0e605b4c79536cdf09ce9f2fa7225a3c6773b5c7",))
HAR_PARTS = {
    "train": (
        _har("X_train.txt", "train/"),
        _har("y_train.txt", "train/", ("415b3357e2e2d5e70a45c781947c6bdd80e0410a579d862eedcd6bbce3c694ef",)),
        _har(
            "subject_train.txt",
            "train/",
            ("66e1e2fbe9b396fa5155f531dc3348c803f503be663e2318772d49947db9153a",),
        ),
    ),
    "test": (
        _har("X_test.txt", "test/"),
        _har("y_test.txt", "test/", ("2a94cb53ca46b956c1b2aebd4a09a72badd8a8e9ea9cdfe9f31b3306a08666bb",)),
        _har("subject_test.txt", "test/", ("63b8c577f4a85431c06bd87f6384608c90a9f72f05c7956dd21255dc63515c07",)),
    ),
}
HAPT_FEATURES = DataFile(
    name="hapt_features.npz",
    paths=("har/hapt_features.npz", "hapt_features.npz"),
    sha256=("48b17d91424d13337eab970fb181bbe9e08925b11d16be13de87cc067447cc3d",),
    remedy="take UCI HAR's own files instead (form='uci'), or copy it from a machine that has it",
)

DIABETES_SOURCE = "Efron, Hastie, Johnstone and Tibshirani (2004), Least Angle Regression; bundled with scikit-learn"
DIGITS_SOURCE = (
    "UCI Machine Learning Repository, Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998), "
    "its test part; bundled with scikit-learn"
)
