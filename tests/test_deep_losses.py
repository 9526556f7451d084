"""Losses of the deep methods: against NumPy transcriptions of their formulas, and their gradients by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fairjax.deep.methods import losses

RNG = np.random.default_rng(0)
Z, M = RNG.normal(size=(12, 3)), RNG.normal(size=(4, 3))
GROUPS = RNG.integers(3, size=12)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def student(z, m, alpha=1.0):
    s = (1 + ((z[:, None] - m[None]) ** 2).sum(2) / alpha) ** (-(alpha + 1) / 2)
    return s / s.sum(1, keepdims=True)


def target(q):
    w = q**2 / q.sum(0)
    return w / w.sum(1, keepdims=True)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("alpha", [1.0, 2.5])
def test_student_assignment(alpha):
    found = np.exp(losses.student_log_assignment(jnp.asarray(Z), jnp.asarray(M), alpha))
    np.testing.assert_allclose(found, student(Z, M, alpha), rtol=1e-12)


def test_cosine_assignment():
    found = np.exp(losses.cosine_log_assignment(jnp.asarray(unit(Z)), jnp.asarray(unit(M)), 0.1))
    np.testing.assert_allclose(found, softmax(unit(Z) @ unit(M).T / 0.1), rtol=1e-12)


def test_target_distribution():
    np.testing.assert_array_equal(
        losses.target_distribution(jnp.array([[0.5, 0.5], [0.0, 1.0]])), [[0.75, 0.25], [0.0, 1.0]]
    )
    q = student(Z, M)
    np.testing.assert_allclose(losses.target_distribution(jnp.asarray(q)), target(q), rtol=1e-12)
    with_empty = np.hstack([q, np.zeros((12, 1))])
    np.testing.assert_allclose(losses.target_distribution(jnp.asarray(with_empty))[:, :4], target(q), rtol=1e-12)


def test_target_passes_no_gradient():
    slope = jax.grad(lambda q: losses.target_distribution(q)[0, 0])(jnp.asarray(student(Z, M)))
    np.testing.assert_array_equal(slope, 0)


def test_divergence_both_ways():
    q = student(Z, M)
    p = target(q)
    found = losses.divergence(jnp.asarray(p), jnp.log(q))
    np.testing.assert_allclose(found, (p * np.log(p / q)).sum(1), rtol=1e-10)
    found = losses.divergence(jnp.asarray(p), jnp.log(q), reverse=True)
    np.testing.assert_allclose(found, (q * np.log(q / p)).sum(1), rtol=1e-10)
    assert float(losses.divergence(jnp.array([[0.0, 1.0]]), jnp.log(jnp.array([[0.5, 0.5]])))[0]) == pytest.approx(
        np.log(2)
    )


def test_reconstruction():
    x, found = RNG.random((5, 2, 3)), RNG.random((5, 2, 3))
    np.testing.assert_allclose(losses.reconstruction_loss(x, found), ((x - found) ** 2).mean((1, 2)))
    expected = -(x * np.log(found) + (1 - x) * np.log(1 - found)).mean((1, 2))
    np.testing.assert_allclose(losses.reconstruction_loss(x, jnp.asarray(found), "bce"), expected)


def test_structure():
    q, frozen = student(Z, M), student(Z[::-1], M)
    gaps = (q @ q.T - frozen @ frozen.T) ** 2
    np.testing.assert_allclose(losses.structural_loss(jnp.asarray(q), jnp.asarray(frozen)), gaps.sum())
    np.testing.assert_allclose(losses.structural_loss(jnp.asarray(q), jnp.asarray(frozen), mean=True), gaps.mean())


def test_critic_heads():
    logits = RNG.normal(size=(12, 3))
    expected = -np.log(softmax(logits)[np.arange(12), GROUPS]).mean()
    np.testing.assert_allclose(losses.critic_loss(jnp.asarray(logits), jnp.asarray(GROUPS)), expected)
    two, logit = (GROUPS > 0).astype(int), RNG.normal(size=(12, 1))
    p = 1 / (1 + np.exp(-logit[:, 0]))
    expected = -np.where(two == 0, np.log(p), np.log(1 - p)).mean()
    np.testing.assert_allclose(losses.critic_loss(jnp.asarray(logit), jnp.asarray(two)), expected)


def test_one_logit_equals_two_outputs():
    """Of two groups, one logit is the difference of two outputs: the same loss and gradient."""
    logits, two = jnp.asarray(RNG.normal(size=(12, 2))), jnp.asarray((GROUPS > 0).astype(int))

    def single(logits):
        return losses.critic_loss(logits[:, :1] - logits[:, 1:], two)

    def double(logits):
        return losses.critic_loss(logits, two)

    for left, right in zip(jax.value_and_grad(single)(logits), jax.value_and_grad(double)(logits), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)


def test_reversed_gradient():
    value, slope = jax.value_and_grad(lambda x: jnp.sum(losses.reverse_gradient(x, 0.25) ** 2))(jnp.arange(3.0))
    assert float(value) == 5
    np.testing.assert_allclose(slope, [0, -0.5, -1.0])


def test_schedules():
    ramp = [float(losses.adversarial_ramp(s, 1000)) for s in (1, 100, 530)]
    expected = [2 / (1 + np.exp(-10 * s / 1000)) - 1 for s in (1, 100, 530)]
    np.testing.assert_allclose(ramp, expected, rtol=1e-10)
    np.testing.assert_allclose(losses.inverse_decay(jnp.array([0, 500]), 1000), [1, 6**-0.75])


@pytest.mark.parametrize("by_frequency", [True, False])
def test_fairoids(by_frequency):
    fairoids = RNG.normal(size=(3, 3))
    phi = student(M, fairoids)
    found = np.exp(losses.fairoid_log_assignment(jnp.asarray(M), jnp.asarray(fairoids)))
    np.testing.assert_allclose(found, phi, rtol=1e-12)
    root = (phi + 1e-8) ** (1 / 1000) / (phi.sum(0) if by_frequency else 1)
    psi = root / root.sum(1, keepdims=True)
    got = losses.fairoid_target(jnp.asarray(phi), by_frequency=by_frequency)
    np.testing.assert_allclose(got, psi, rtol=1e-10)
    found = losses.fairoid_divergence(got, jnp.log(phi))
    np.testing.assert_allclose(found, (psi * np.log(psi / phi)).sum(1), rtol=1e-10)


def test_least_squares_centers():
    p = target(student(Z, M))
    expected = np.linalg.solve(p.T @ p + 0.1 * np.eye(4), p.T @ Z)
    np.testing.assert_allclose(losses.centers_from_batch(jnp.asarray(p), jnp.asarray(Z), 0.1), expected, rtol=1e-10)
    absent = np.hstack([p, np.zeros((12, 1))])
    assert np.isfinite(losses.centers_from_batch(jnp.asarray(absent), jnp.asarray(Z), 1e-4)).all()
    # without a ridge they are the exact least squares, and an absent cluster lies at the origin
    exact = losses.centers_from_batch(jnp.asarray(absent), jnp.asarray(Z), None)
    np.testing.assert_allclose(exact, np.linalg.lstsq(absent, Z, rcond=None)[0], atol=1e-9)
    np.testing.assert_array_equal(exact[4], 0)


def test_informations():
    c = softmax(RNG.normal(size=(12, 4)))
    joint = np.stack([c[t == GROUPS].sum(0) for t in range(3)], 1) / 12
    sizes, shares = joint.sum(1), joint.sum(0)
    balance, onehot = losses.clustering_information(jnp.asarray(c))
    np.testing.assert_allclose(balance, (sizes * np.log(sizes)).sum())
    np.testing.assert_allclose(onehot, -(c * np.log(c + 1e-8)).sum() / 12)
    expected = (joint * np.log(joint / np.outer(sizes, shares))).sum()
    np.testing.assert_allclose(losses.group_information(jnp.asarray(c), jnp.asarray(GROUPS), 3), expected)
    # a group that is absent adds nothing
    more = losses.group_information(jnp.asarray(c), jnp.asarray(GROUPS), 5)
    np.testing.assert_allclose(more, expected, atol=1e-9)


def test_information_of_independent_clusters_is_zero():
    """FCMI's proposition 1: the information vanishes exactly where every cluster has the groups' shares."""
    c = jnp.tile(jnp.array([[0.3, 0.7]]), (12, 1))
    assert abs(float(losses.group_information(c, jnp.asarray(GROUPS), 3))) < 1e-9


def test_gradients_by_differences():
    p = jnp.asarray(target(student(Z, M)))
    frozen, groups = jnp.asarray(student(Z[::-1], M)), jnp.asarray(GROUPS)
    fairoids = jnp.asarray(RNG.normal(size=(3, 3)))
    psi = losses.fairoid_target(jnp.exp(losses.fairoid_log_assignment(jnp.asarray(M), fairoids)))

    def dec(z, m):
        return jnp.mean(losses.divergence(p, losses.student_log_assignment(z, m)))

    def structure(z, m):
        return losses.structural_loss(jnp.exp(losses.student_log_assignment(z, m)), frozen)

    def fairness(z, m):
        places = losses.centers_from_batch(p, z, 0.1) + m
        return jnp.mean(losses.fairoid_divergence(psi, losses.fairoid_log_assignment(places, fairoids)))

    def information(z, m):
        c = jnp.exp(losses.cosine_log_assignment(z, m, 0.5))
        return sum(losses.clustering_information(c)) + losses.group_information(c, groups, 3)

    def reversed_and_gaussian(z, m):
        return jnp.mean(losses.divergence(p, losses.gaussian_log_assignment(z, m, 0.5), reverse=True))

    def consistency(z, m):
        c = jnp.exp(losses.student_log_assignment(z, m))
        return losses.consistency_loss(c, jnp.argmax(p, axis=1), groups, 3)

    def critic(z, m):
        logits = losses.student_log_assignment(z, m)
        return losses.critic_loss(logits[:, :3], groups) + losses.critic_loss(logits[:, :1], groups)

    def reconstruction(z, m):
        found = jnp.matmul(jnp.exp(losses.student_log_assignment(z, m)), m)
        return sum(
            jnp.sum(losses.reconstruction_loss(x, y, kind))
            for x, y, kind in ((z, found, "mse"), (jax.nn.sigmoid(z), jax.nn.sigmoid(found), "bce"))
        )

    for loss in (dec, structure, fairness, information, reversed_and_gaussian, consistency, critic, reconstruction):
        check_grads(jax.jit(loss), (jnp.asarray(Z), jnp.asarray(M)), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)
