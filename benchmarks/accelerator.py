"""Forwards ``python benchmarks/accelerator.py ...`` to ``python -m benchmarks accelerator ...``."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.__main__ import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(["accelerator", *sys.argv[1:]]))
