"""The strategy of `prune-filters`: cuts filters and builds a thinner model from the rest.

Molchanov et al. 2019 cut a few filters every few training steps. Here each round cuts filters until
a target number of parameters remains. With N parameters in the uncut model and the sparsity s,
round r of R leaves N · (1 - s)^(r/R): each round cuts the same fraction of what remains.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pupila import PupilaError, Step
from pupila.digest import short_digest
from pupila.keras_files import parameters
from pupila.measured import Measured
from pupila_prune.channels import Channels
from pupila_prune.config import FilterPruning
from pupila_prune.graph import channels_of
from pupila_prune.heads import training_form
from pupila_prune.rebuild import rebuild
from pupila_prune.rounds import Rounds
from pupila_prune.saliency import Scores, magnitude, taylor
from pupila_prune.selection import choose, min_filters
from pupila_prune.training_targets import ranking_batches, ranking_loss

_MAX_IMAGES = 512
"""Most training images used to score units; the seed chooses them at random."""

_ROUNDING = 1e-6


class FilterStrategy:
    """Cuts the units (groups of channels) with the lowest scores.

    Each layer keeps its minimum number of filters.
    """

    name = "prune-filters"

    def __init__(self, step: Step[FilterPruning], model: Any) -> None:
        self._step, self._config = step, step.config
        self.rounds = step.config.rounds
        self._total, self._uncut = parameters(model), channels_of(model)
        self._min_filters = min_filters(self._uncut, step.config.min_fraction_kept)

    def cut(self, model: Any, number: int) -> Any:
        channels = channels_of(model)
        share = (1 - self._config.sparsity) ** (number / self.rounds)
        scores, target = self._scores(model, channels), self._total * share
        keep = choose(channels, scores, target, self._min_filters)
        return None if keep.all() else rebuild(model, channels, keep)

    def keep_cut(self, model: Any) -> AbstractContextManager[None]:
        return nullcontext()  # cut filters no longer exist

    def parameters(self, model: Any) -> int:
        return parameters(model)

    def measured(self, rounds: Rounds) -> Measured:
        """Return the pruning curve, the unsupported layers, and a warning if over budget.

        Raises:
            PupilaError: no filter could be cut.
        """
        if len(rounds.curve) == 1:
            raise self._nothing_to_cut()
        result = rounds.result()
        within = result.budget_met and len(rounds.curve) - 1 == result.round
        removed = rounds.curve[-1].parameters_removed
        kept = self._config.min_fraction_kept
        if within and removed < self._config.sparsity - _ROUNDING:
            reason = (
                f"`min_fraction_kept` of {kept:.4g} allows {removed:.4g} of the parameters to be "
                f"cut, less than `sparsity` of {self._config.sparsity:.4g}, within the budget of "
                f"{rounds.budget:.4g}."
            )
            result = result.model_copy(update={"reason": reason})
        return Measured(rounds.warning(), result, {"untouched": list(self._uncut.untouched)})

    def _scores(self, model: Any, channels: Channels) -> Scores:
        if self._config.saliency == "magnitude":
            return magnitude(model, channels)
        form = training_form(model, self._step.inputs[0].record.output)
        batches = ranking_batches(self._step, _MAX_IMAGES, self._config.batch_size)
        return taylor(form, channels, batches, ranking_loss(self._step))

    def _nothing_to_cut(self) -> PupilaError:
        unsupported = ", ".join(map(repr, self._uncut.untouched[:5])) or "none"
        return PupilaError(
            f"Nothing can be cut from the model {short_digest(self._step.inputs[0].digest)}: it "
            f"has {self._uncut.count} groups of channels, `min_fraction_kept` keeps "
            f"{self._config.min_fraction_kept!r} of each layer's filters, and layers that are not "
            f"supported are: {unsupported}. Lower `min_fraction_kept`, or make a small model with "
            f"`distill`."
        )
