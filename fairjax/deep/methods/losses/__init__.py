"""The methods' losses, as pure functions of latents, assignments and group ids; all logarithms are natural.

Reductions are those of the authors' code, since the weights of the terms belong to them: see each function.
"""

from fairjax.deep.methods.losses.assignments import (
    cosine_log_assignment,
    divergence,
    gaussian_log_assignment,
    student_log_assignment,
    target_distribution,
)
from fairjax.deep.methods.losses.dfc import (
    adversarial_ramp,
    critic_loss,
    inverse_decay,
    reverse_gradient,
    structural_loss,
)
from fairjax.deep.methods.losses.fairoids import (
    centers_from_batch,
    fairoid_divergence,
    fairoid_log_assignment,
    fairoid_target,
)
from fairjax.deep.methods.losses.generation import gradient_penalty, inversion_loss
from fairjax.deep.methods.losses.information import clustering_information, consistency_loss, group_information
from fairjax.deep.methods.losses.reconstruction import reconstruction_loss
from fairjax.deep.methods.losses.similarity import pair_loss, pair_similarity
from fairjax.deep.methods.losses.smoothness import adversarial_direction, adversarial_loss
from fairjax.deep.methods.losses.views import random_views

__all__ = [
    "adversarial_direction",
    "adversarial_loss",
    "adversarial_ramp",
    "centers_from_batch",
    "clustering_information",
    "consistency_loss",
    "cosine_log_assignment",
    "critic_loss",
    "divergence",
    "fairoid_divergence",
    "fairoid_log_assignment",
    "fairoid_target",
    "gaussian_log_assignment",
    "gradient_penalty",
    "group_information",
    "inverse_decay",
    "inversion_loss",
    "pair_loss",
    "pair_similarity",
    "random_views",
    "reconstruction_loss",
    "reverse_gradient",
    "structural_loss",
    "student_log_assignment",
    "target_distribution",
]
