"""How the tests compile."""

from collections.abc import Iterator

import jax
import pytest

# what is asserted here to the last digits is asserted of the programs that users run
_OPTIMISED = {
    "test_assignment_gradients",
    "test_assignment_oracle",
    "test_assignment_properties",
    "test_fca_direct",
    "test_ot_sinkhorn",
}


@pytest.fixture(scope="module", autouse=True)
def quick_compilation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Programs that run for a moment are compiled without the optimiser, in a third of the time."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", request.module.__name__ not in _OPTIMISED)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
