"""What the papers prove of their losses, as properties of ours: fairness by information, by critic, by structure."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairjax import metrics
from fairjax.deep.methods import losses

K, T, N = 3, 2, 24
LABELS = st.lists(st.integers(0, K - 1), min_size=N, max_size=N).map(np.array)
GROUPS = st.lists(st.integers(0, T - 1), min_size=N - 2, max_size=N - 2).map(lambda ids: np.array([0, 1, *ids]))
SEEDS = st.integers(0, 2**31)
QUICK = settings(max_examples=15, deadline=None)


def information(labels, groups, n_groups=T):
    """I(G; C) of hard labels."""
    return float(losses.group_information(jnp.asarray(np.eye(K)[labels]), jnp.asarray(groups), n_groups))


@QUICK
@given(LABELS, GROUPS)
def test_no_information_is_the_best_balance(labels, groups):
    """FCMI's proposition 1: I(G; C) is least, 0, exactly where every cluster has the groups' shares of all rows."""
    table = np.zeros((K, T))
    np.add.at(table, (labels, groups), 1)
    independent = np.allclose(table, np.outer(table.sum(1), table.sum(0)) / N)
    found = information(labels, groups)
    assert found > -1e-6
    assert (found < 1e-5) == independent
    sizes = {"n_clusters": K, "n_groups": T}
    balance, best = float(metrics.balance(labels, groups, **sizes)), float(metrics.max_balance(groups, n_groups=T))
    assert (float(metrics.group_violation(labels, groups, **sizes)) < 1e-6) == independent
    if independent:
        assert balance == pytest.approx(best, abs=1e-6)
        assert float(metrics.mnce(labels, groups, **sizes)) == pytest.approx(1, abs=1e-5)
    if balance < best - 1e-6:
        assert found > 1e-5


@QUICK
@given(st.lists(st.integers(0, K - 1), min_size=4, max_size=4), st.integers(1, 3))
def test_the_groups_own_shares_have_no_information(labels, times):
    """The other direction, which chance seldom draws: every row once in group 0 and so many times in group 1."""
    both = np.array(labels * (1 + times))
    groups = np.repeat([0, 1], [4, 4 * times])
    assert information(both, groups) < 1e-5
    sizes = {"n_clusters": K, "n_groups": T}
    assert float(metrics.balance(both, groups, **sizes)) == pytest.approx(1 / times, abs=1e-6)


@QUICK
@given(SEEDS)
def test_no_critic_beats_chance_on_equal_assignments(seed):
    """DFC's minimax game: where the groups' soft assignments are alike, the best critic says nothing."""
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.ones(K), size=8)
    weights, offset = rng.normal(size=K), rng.normal()
    logits = (np.tile(q, (2, 1)) @ weights + offset)[:, None]
    groups = np.repeat([0, 1], 8)
    found = float(losses.critic_loss(jnp.asarray(logits), jnp.asarray(groups)))
    assert found >= np.log(2) - 1e-6
    silent = float(losses.critic_loss(jnp.zeros((16, 1)), jnp.asarray(groups)))
    assert silent == pytest.approx(np.log(2), abs=1e-6)


@QUICK
@given(SEEDS)
def test_the_best_critic_tells_by_how_much_groups_differ(seed):
    """Against the likelihood ratio no other critic wins, and log 2 less its loss is the Jensen-Shannon divergence."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(K), size=2)  # chance of each of three assignments in either group
    counts = np.rint(60 * p).astype(int) + 1
    shares = counts / counts.sum(1, keepdims=True)
    rows, groups = np.tile(np.arange(K), 2), np.repeat([0, 1], K)

    def loss(logits):
        """Mean over both groups, of equal weight: the rows repeated so often."""
        each = [
            losses.critic_loss(jnp.asarray(logits[row])[None, None], jnp.asarray([group]))
            for row, group in zip(rows, groups, strict=True)
        ]
        return float((np.array(each) * shares.ravel()).sum() / 2)

    mixture = shares.mean(0)
    gap = (shares * np.log(shares / mixture)).sum() / 2
    best = np.log(shares[0] / shares[1])
    assert loss(best) == pytest.approx(np.log(2) - gap, abs=1e-5)
    assert loss(best + rng.normal(size=K)) >= loss(best) - 1e-6


@QUICK
@given(LABELS, LABELS, st.permutations(range(K)))
def test_structure_knows_no_names(first, second, names):
    """The structural loss of two hard clusterings counts the pairs they disagree on, whatever the clusters are called.

    So no matching of clusters is needed, and nothing is lost exactly where the partitions are the same.
    """
    q, frozen = np.eye(K)[first], np.eye(K)[second]
    found = float(losses.structural_loss(jnp.asarray(q), jnp.asarray(frozen)))
    together = [labels[:, None] == labels for labels in (first, second)]
    assert found == (together[0] != together[1]).sum()
    assert float(losses.structural_loss(jnp.asarray(q[:, list(names)]), jnp.asarray(frozen))) == found
    assert float(losses.structural_loss(jnp.asarray(q[:, list(names)]), jnp.asarray(q))) == 0


@QUICK
@given(SEEDS, st.permutations(range(3)))
def test_names_of_groups_do_not_matter(seed, names):
    rng = np.random.default_rng(seed)
    c, labels, groups = rng.dirichlet(np.ones(K), size=N), rng.integers(K, size=N), rng.integers(3, size=N)
    logits = rng.normal(size=(N, 3))
    renamed = np.array(names)[groups]
    columns = np.argsort(names)
    pairs = [
        [losses.group_information(jnp.asarray(c), jnp.asarray(ids), 3) for ids in (groups, renamed)],
        [
            losses.consistency_loss(jnp.asarray(c), jnp.asarray(labels), jnp.asarray(ids), 3)
            for ids in (groups, renamed)
        ],
        [
            losses.critic_loss(jnp.asarray(logits), jnp.asarray(groups)),
            losses.critic_loss(jnp.asarray(logits[:, columns]), jnp.asarray(renamed)),
        ],
    ]
    for left, right in pairs:
        assert float(left) == pytest.approx(float(right), abs=1e-5)
