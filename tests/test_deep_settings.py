"""Settings are declared once: parameters, checks, documentation and traced numbers follow from the fields."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.base import clone

import fairjax.deep
from fairjax.deep import DEC, DFC, FCMI, FairoidDEC, Network, dec, deepfca, dfc, fairoid, prepare
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import METHODS, DeepClusterer, estimator
from fairjax.deep.methods.settings import Number, Settings, renamed, setting, settings_of, static
from fairjax.errors import InputError

KINDS = list(METHODS.values())
NETWORK = Network(kind="mlp", shape=(4,), n_latent=2, options=(("hidden", (3,)),))


def test_every_method_and_its_module_are_public():
    named = {name for kind in KINDS for name in (kind.__name__, kind.__module__.rpartition(".")[2])}
    assert named <= set(fairjax.deep.__all__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_everything_follows_from_the_fields(kind):
    settings = settings_of(kind)
    parameters = inspect.signature(kind).parameters
    assert list(parameters) == [about.name for about in settings] or set(parameters) == {s.name for s in settings}
    for about in settings:
        assert parameters[about.name].default == about.default
        # one field a line, as numpydoc has it
        assert re.search(rf"^{about.name} : \S.*\n    \S", kind.__doc__, re.M), about.name
        assert about.doc.endswith("."), about.name
    # what a training goes by has no settings of its own
    for about in settings_of(kind.config_type):
        assert about in settings


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_parameter_can_be_set(kind):
    model = kind()
    for about in settings_of(kind):
        setattr(model, about.name, "other")
    assert set(model.get_params().values()) == {"other"}
    assert model != kind(**model.get_params())


def test_parameters_can_be_set_and_are_compared_by_identity():
    model = DEC(3, lr=0.5)
    model.set_params(steps=7).tol = 0.1
    again = clone(model)
    assert (again.n_clusters, again.lr, again.steps, again.tol) == (3, 0.5, 7, 0.1)
    assert model != again
    assert len({model, again}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        dec.DECConfig(3, network=NETWORK).lr = 1.0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dec.DECConfig(network="mlp"), "network is 'mlp'; expected a Network or an OwnNetwork"),
        (lambda: dec.DECConfig(network=NETWORK, lr=np.array([0.1, -1.0])), "lr is .*; expected a finite number"),
        (lambda: dec.DECConfig(network=NETWORK, corruption=np.array([0.1])), "corruption is .*; expected a finite"),
        (lambda: dec.DECConfig(network=NETWORK, lr="fast"), "lr is 'fast'; expected a number, or one for each seed"),
        (lambda: deepfca.DeepFCAConfig(network=NETWORK, epsilon=2.5), "epsilon is 2.5; expected a number from 0 to 2"),
        (lambda: fairoid.FairoidConfig(network=NETWORK, ridge=0.0), "ridge is 0; expected a positive number"),
        (lambda: dfc.DFCConfig(network=NETWORK, scale_to_batch=True).hyper(), "batch_size is None, whose meaning"),
    ],
)
def test_configurations_are_checked_as_estimators_are(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_programs_depend_on_static_settings_alone():
    """Traced numbers are in ``hyper``; what is left is hashable and equal for all of their values."""
    one, two = (fairoid.FairoidConfig(3, network=NETWORK, lr=rates, gamma=1.0) for rates in (0.1, np.array([0.2, 0.3])))
    assert static(one) == static(two)
    assert hash(static(one)) == hash(static(two))
    assert static(one) != static(dataclasses.replace(one, epochs=3))
    # whether an optional number is given is static
    assert static(one) != static(dataclasses.replace(one, ridge=0.1))
    assert {about.name for about in settings_of(DFC) if about.traced} == {
        "lr", "pretrain_lr", "group_lr", "alpha_f", "alpha_s", "beta",
    }  # fmt: skip
    # a number taken from the static part by mistake fails at once
    with pytest.raises(TypeError):
        static(one).lr * 2


def test_a_batch_of_dfc_depends_on_the_groups():
    data = prepare(np.zeros((64, 4), np.float32), np.arange(64) % 32)
    assert dfc.DFCConfig(network=NETWORK).resolved(data).batch_size == 32
    assert dfc.DFCConfig(network=NETWORK, batch_size=7).resolved(data).batch_size == 7


# A method of one's own: one file, and a line in the catalogue


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToySettings(Settings):
    n_init: int = setting(1)
    scale: Number = setting(2.0, "Weight of nothing.", above=0.0)


class ToyConfig(ToySettings, Config):
    def tasks(self, data):
        return []


def test_a_method_of_ones_own(capsys):
    try:

        @estimator
        class Toy(DeepClusterer, ToySettings):
            """A toy.

            Examples
            --------
            >>> Toy(3)
            Toy(n_clusters=3)
            """

            config_type = ToyConfig
            command = "toy"
            title = "a toy"

        assert Toy(4, scale=3).get_params()["scale"] == 3
        assert "scale : float, default=2.0\n    Weight of nothing." in Toy.__doc__
        # the sentence of the base stands for the new default too
        assert "n_init : int, default=1\n    Restarts of k-means." in Toy.__doc__
        assert Toy.__doc__.index("Attributes\n---") < Toy.__doc__.index("Examples\n---")
        with pytest.raises(InputError, match="scale is 0; expected a positive number"):
            Toy(scale=0).fit(np.eye(4))
        from fairjax import cli

        assert cli.main(["methods", "toy"]) == 0
        assert "Weight of nothing." in capsys.readouterr().out
    finally:
        METHODS.pop("toy", None)


def test_imports_of_the_wings_go_one_way():
    """Networks know no training, training no method, methods no analysis."""
    folder = Path(fairjax.deep.__file__).parent
    above = {"nets": ("training", "methods", "analysis"), "training": ("methods", "analysis"), "methods": ("analysis",)}
    for wing, others in above.items():
        for path in (folder / wing).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
                assert not module.startswith(tuple(f"fairjax.deep.{other}" for other in others)), f"{path}: {module}"


@pytest.mark.parametrize("kind", [FCMI, FairoidDEC])
def test_the_documentation_names_the_networks(kind):
    known = ", ".join(f'"{name}"' for name in ("auto", *kind.networks.names))
    assert f"Names are {known};" in " ".join(kind.__doc__.split())


def test_traced_numbers_may_be_traced():
    found = jax.make_jaxpr(lambda rate: dec.DECConfig(network=NETWORK, lr=rate).hyper()["lr"])(jnp.float32(0.1))
    assert len(found.jaxpr.invars) == 1


def test_settings_of_earlier_versions_have_their_names_of_today():
    assert renamed(FCMI, {"b": 0.3, "tau": 0.1}) == {"group_weight": 0.3, "tau": 0.1}
    assert renamed(DEC, {"b": 0.3}) == {"b": 0.3}
