"""How pictures are saved, and numbers rounded, in the records of analyses."""

from pathlib import Path
from typing import Any

import numpy as np


def rounded(values: Any) -> list[Any]:
    return np.round(np.asarray(values, float), 4).tolist()


def save(figure: Any, folder: Path, name: str) -> None:
    import matplotlib as mpl

    mpl.rcParams["svg.hashsalt"] = "fairjax"
    folder.mkdir(parents=True, exist_ok=True)
    if name.endswith(".svg"):
        figure.savefig(folder / name, metadata={"Date": None})
    else:
        figure.savefig(folder / name, dpi=100)
