"""Labels of the rows of a table by the rule that a fit has left, block by block."""

import contextlib
from collections.abc import Generator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from fairjax.fca.points import block_shape
from fairjax.fca.streaming import passes
from fairjax.fca.streaming.feed import Block, Layout, Workshop, blocks
from fairjax.fca.streaming.intake import Intake
from fairjax.fca.streaming.nearest import row_keys
from fairjax.fca.streaming.rule import Dealer, Rule


class Labelled(NamedTuple):
    """Labels (r,) int32 and groups (r,) int32 of the rows from number ``first`` on, and their weights (r,)."""

    labels: npt.NDArray[np.int32]
    ids: npt.NDArray[np.int32]
    weights: npt.NDArray[Any]
    first: int


def labelled(intake: Intake, rule: Rule, dealt: npt.NDArray[np.int64] | None = None) -> Generator[Labelled, None, None]:
    """The labels of all rows in order, as in the fit; O(n K d).

    Where ``intake`` is a share, ``dealt`` (q,) are the copies of the rule's rows in the shares before it.
    """
    dealer = Dealer(rule, dealt) if len(rule.keys) else None
    with contextlib.closing(_passed(intake, rule)) as source:
        for block, labels, near, keys in source:
            if dealer is not None:
                named, given = dealer.deal(keys)
                labels[near[named]] = given
            yield _patched(block, labels, rule)


def copies(intake: Intake, rule: Rule) -> npt.NDArray[np.int64]:
    """Copies (q,) of each of the rule's rows in a table; O(n K d) where there are any."""
    dealer = Dealer(rule)
    if len(rule.keys):
        for *_, keys in _passed(intake, rule):
            dealer.deal(keys)
    return dealer.dealt


def _passed(intake: Intake, rule: Rule) -> Generator[tuple[Block, Any, Any, Any], None, None]:
    """Each block with the labels of the pass (r,), and places and keys of the rows that may have copies in the rule."""
    n_parts, length = block_shape(rule.block_rows)
    dtype = rule.centers.dtype
    layout = Layout((n_parts, rule.centers.shape[1], length), dtype, rule.shift, rule.scale, rule.heaviest)
    on_device = jnp.asarray(rule.centers), jnp.asarray(rule.prices)
    workshop = Workshop()
    source = blocks(intake, layout, workshop)
    try:
        for block in source:
            found = passes.assigned(block.features, block.ids, block.weights, *on_device)
            labels, margins = (np.asarray(part)[: block.n_rows] for part in found[:2])
            labels = labels.astype(np.int32)
            near = np.flatnonzero(margins <= rule.reach * (1 + 1e-5)) if len(rule.keys) else np.zeros(0, np.intp)
            yield block, labels, near, row_keys(block.coordinates(near), block.ids[near], block.weights[near])
            workshop.spare.put(block)
    finally:
        source.close()


def _patched(block: Block, labels: npt.NDArray[np.int32], rule: Rule) -> Labelled:
    begin, end = np.searchsorted(rule.rows, (block.first, block.first + block.n_rows))
    labels[rule.rows[begin:end] - block.first] = rule.labels[begin:end]
    return Labelled(labels, block.ids[: block.n_rows], block.weights[: block.n_rows], block.first)
