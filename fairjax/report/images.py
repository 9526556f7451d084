"""What clusters of images are like: the average image of each, overall and by group."""

import base64
import struct
import zlib

import numpy as np

from fairjax.report.data import ReportData
from fairjax.report.markup import Html, cell_of, esc, table

MOST_GROUPS = 6


def picture(data: ReportData) -> str:
    """Return a table of average images: a row for each cluster, and a column for each group if there are few."""
    shape = data.image_shape
    assert shape is not None
    low, high = float(data.values.min()), float(data.values.max())
    names = data.names if 2 <= data.n_groups <= MOST_GROUPS else ()

    def cell(chosen: np.ndarray, what: str) -> Html:
        if not chosen.any():
            return cell_of("–")
        mean = data.values[chosen].mean(axis=0).reshape(shape)
        level = np.rint(255 * (mean - low) / max(high - low, np.finfo(float).tiny)).astype(np.uint8)
        return cell_of(f'<img class="mean" alt="{esc(what)}" src="data:image/png;base64,{_text(level)}">')

    rows = []
    for k in range(data.n_clusters):
        of_cluster = data.labels == k
        cells = [cell(of_cluster, f"average image of cluster {k}")]
        for g, name in enumerate(names):
            cells.append(cell(of_cluster & (data.groups == g), f"average image of {name} in cluster {k}"))
        rows.append([str(k), *cells])
    return table(["Cluster", "all", *names], rows, "Average image of each cluster")


def png(image: np.ndarray) -> bytes:
    r"""Return an image (h, w, 1) of greys or (h, w, 3) of colours, uint8, as a PNG file; other channels are averaged.

    Examples
    --------
    >>> png(np.zeros((2, 2, 1), np.uint8))[:4]
    b'\x89PNG'
    """
    if image.shape[2] not in (1, 3):
        image = image.mean(axis=2, keepdims=True).astype(np.uint8)
    height, width, channels = image.shape
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in np.ascontiguousarray(image))
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def _text(image: np.ndarray) -> str:
    return base64.b64encode(png(image)).decode()
