"""scikit-learn's checks of the deep estimators: those without a training of all, the others of one (``-m slow``)."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from fairjax import deep
from fairjax.deep.methods.estimator import METHODS

# they share their surface, and every shape of data is compiled anew, which takes minutes: one stands for all
TRAINED = deep.AEKMeans
ESTIMATORS = [
    TRAINED(3, steps=20, n_init=1, batch_size=16, n_latent=4, random_state=0),
    *(kind(3, random_state=0) for kind in METHODS.values() if kind is not TRAINED),
]
WITHOUT_TRAINING = {
    "check_do_not_raise_errors_in_init_or_set_param",
    "check_estimator_cloneable",
    "check_estimator_get_tags_default_keys",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
}


def checks():
    for original in ESTIMATORS:
        for estimator, check in estimator_checks_generator(original):
            name = check.func.__name__
            quick = name in WITHOUT_TRAINING
            if quick or isinstance(original, TRAINED):
                marks = () if quick else pytest.mark.slow
                words = "-".join(map(str, check.keywords.values()))
                yield pytest.param(estimator, check, marks=marks, id=f"{type(original).__name__}-{name}-{words}")


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
