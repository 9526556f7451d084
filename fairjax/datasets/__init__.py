"""Readers of the original public files and of a user's own tables, on the host, as numpy arrays.

Files are looked for in the folder that the environment variable ``FAIRJAX_DATA`` names, then in the user's
cache; each is checked against its published SHA-256, and nothing is downloaded unless ``download=True`` is
passed.
"""

from fairjax.datasets.activity import load_har
from fairjax.datasets.blocks import BlockTable, scan
from fairjax.datasets.catalog import CatalogEntry, FileStatus, catalog, load, names
from fairjax.datasets.dataset import Dataset
from fairjax.datasets.features import load_features
from fairjax.datasets.images import load_mnist_usps, load_reverse_digits, load_reverse_mnist
from fairjax.datasets.preparation import Preparation
from fairjax.datasets.synthetic import make_grouped_blobs
from fairjax.datasets.table.dialect import Dialect
from fairjax.datasets.table.inspection import inspect_table
from fairjax.datasets.tables import read_table
from fairjax.datasets.tabular import load_adult, load_bank, load_census, load_diabetes

__all__ = [
    "BlockTable",
    "CatalogEntry",
    "Dataset",
    "Dialect",
    "FileStatus",
    "Preparation",
    "catalog",
    "inspect_table",
    "load",
    "load_adult",
    "load_bank",
    "load_census",
    "load_diabetes",
    "load_features",
    "load_har",
    "load_mnist_usps",
    "load_reverse_digits",
    "load_reverse_mnist",
    "make_grouped_blobs",
    "names",
    "read_table",
    "scan",
]
