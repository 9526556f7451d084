"""Training with the rows of each batch spread over devices."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fairjax import parallel
from fairjax.deep import Network, fcmi, prepare
from fairjax.deep.training import trainer
from fairjax.errors import InputError

_CHILD = """
import json
import jax, jax.numpy as jnp, numpy as np
from fairjax import parallel
from fairjax.deep import FCMI, Network, dfc, fcmi, prepare
from fairjax.deep.training import steps, trainer
from fairjax.deep.methods.running import run
jax.config.update("jax_disable_most_optimizations", True)
rng = np.random.default_rng(0)
points = (np.eye(4)[rng.integers(4, size=96)] + 0.05 * rng.random((96, 4))).astype(np.float32)
data, key, mesh = prepare(points, rng.integers(2, size=96)), jax.random.key(0), parallel.data_mesh()
options = (("n_groups", 2), ("output", "tanh"), ("unit_norm", True))
network = Network(kind="mlp", shape=(4,), n_latent=3, options=options)
short = {"network": network, "n_clusters": 4, "batch_size": 16, "n_init": 1}
stages = {"pretrain_steps": 10, "group_pretrain_steps": 10, "group_steps": 10, "steps": 10}
found = {"devices": mesh.size}
for config in (fcmi.FCMIConfig(**short, epochs=6, warmup_epochs=2), dfc.DFCConfig(**short, **stages)):
    one, two = run(key, data, config), run(key, data, config, mesh=mesh)
    found[type(config).__name__] = {
        "gap": max(float(np.max(np.abs(a - two.history[name]) / (1 + np.abs(a)))) for name, a in one.history.items()),
        "same": float(np.mean(np.asarray(one.labels) == np.asarray(two.labels))),
    }
rows = {"sensitive_features": np.asarray(data.groups)}
settings = {"epochs": 6, "warmup_epochs": 2, "batch_size": 16, "n_latent": 3, "n_init": 1, "random_state": 0}
left, right = (FCMI(4, n_devices=count, **settings).fit(points, **rows) for count in (1, 2))
found["estimator"] = float(np.mean(left.labels_ == right.labels_))
task = fcmi.FCMIConfig(**short, epochs=6, warmup_epochs=2).tasks(data)[0]
hyper = {"lr": 1e-3, "a_balance": 0.04, "a_onehot": 0.04, "group_weight": 0.2, "tau": 0.1}
hyper = {name: jnp.float32(value) for name, value in hyper.items()}
data = jax.device_put(data, parallel.replicated(mesh))
state = steps.begin(task, key, None, hyper, data)
program = steps.train_chunk.lower(task, state, data, jnp.int32(0), length=2, mesh=mesh).compile().as_text()
found["sums"] = program.count("all-reduce(")
print(json.dumps(found))
"""


@pytest.mark.slow
def test_two_devices_train_as_one():
    """The same up to rounding, and by shares: the program sums over devices."""
    surroundings = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True, env=surroundings)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["devices"] == 2
    assert found["sums"] > 0
    assert found["estimator"] > 0.98
    for name in ("FCMIConfig", "DFCConfig"):
        assert found[name]["gap"] < 1e-4
        assert found[name]["same"] > 0.98


def test_shares_that_do_not_come_out_even():
    network = Network(kind="mlp", shape=(4,), n_latent=3)
    config = fcmi.FCMIConfig(network=network, n_clusters=2, batch_size=15, epochs=2, warmup_epochs=1)
    data = prepare(np.zeros((30, 4), np.float32))
    with pytest.raises(InputError, match=r"a batch of 15 rows \(stage 'FCMI'\) cannot be spread evenly over 2 devices"):
        trainer._check_shares(config.tasks(data), data.n_groups, SimpleNamespace(size=2))


def test_a_mesh_of_more_devices_than_there_are():
    with pytest.raises(InputError, match="n_devices is 1000; there "):
        parallel.data_mesh(1000)
