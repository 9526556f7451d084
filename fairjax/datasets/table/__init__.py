"""A user's own table, step by step: content → cells (`RawTable`) → columns → encoded features and groups.

Every step is a module of its own that knows only those before it; `fairjax.datasets.read_table` runs them all.
"""

from fairjax.datasets.table.columns import Column, infer
from fairjax.datasets.table.dialect import Dialect
from fairjax.datasets.table.encoding import Encoding
from fairjax.datasets.table.rawtable import RawTable
from fairjax.datasets.table.reading import read_raw_table

__all__ = ["Column", "Dialect", "Encoding", "RawTable", "infer", "read_raw_table"]
