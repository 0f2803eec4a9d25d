"""Where we rely on how Lightning works and not only on what it promises: a function each, which says on what.

Each of these assumptions, and each about a hook that the finetuner or a callback overrides, has a test that fails under
a Lightning that works otherwise: tests/unit/devices/test_lightning.py, and test_lightning_step.py beside it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_, get_total_norm

# How long training goes on, and when it validates


def limits(*, total_steps: int, steps_per_epoch: int, validation_every: int) -> dict[str, Any]:
    """Return the Trainer's options for a training that validates every so many optimizer steps.

    Whoever takes the steps has to end it at the last one, by `end_training`.
    """
    return {
        # No limit in steps: Lightning would skip the loop of a run that is resumed at its last step, also where the
        # validation of that step is still owed.
        "max_epochs": -(-total_steps // steps_per_epoch),
        # A batch is an optimizer step here, and without epochs to check after, Lightning counts batches over epochs.
        "val_check_interval": validation_every,
        "check_val_every_n_epoch": None,
    }


def is_validated(step: int, *, total_steps: int, validation_every: int) -> bool:
    """Return whether Lightning validates after a step under these limits."""
    return step % validation_every == 0 or step >= total_steps


def end_training(trainer: Trainer) -> None:
    """Take no further step.

    Asked for after a step, Lightning validates that step before it stops, also where its count would not; asked for
    before the first step, it validates nothing.
    """
    trainer.should_stop = True


def validate_now(trainer: Trainer) -> None:
    """Run a whole validation before the first step of a resumed training, whose checkpoint was written without it."""
    validation = trainer.fit_loop.epoch_loop.val_loop
    # A restored loop would go on behind the batches that it had counted.
    validation.restarting = False
    trainer.validating = True
    validation.run()
    # Else Lightning takes the epoch for finished, and never fetches the next one's batches.
    validation._has_run = False
    trainer.training = True


# Signals


def leave_signals(trainer: Trainer) -> None:
    """Have a Trainer leave SIGTERM and SIGUSR1 to whoever handles them already.

    Its own handlers would end training without a checkpoint, and on several devices start a broadcast from within one.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    # On several devices Lightning asks at every step whether rank 0 got one, and makes the devices wait for it.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]


@contextmanager
def stopped_by_keyboard(trainer: Trainer) -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt, which Lightning turns into an exit of its own, with another status."""
    try:
        yield
    except SystemExit as end:
        if trainer.interrupted:
            raise KeyboardInterrupt from end
        raise


# Inside of a step


def backward(loss: torch.Tensor, *, module: LightningModule) -> None:
    """Run backward within `training_step` as Lightning does after it: without autocast, and scaled where it scales."""
    with torch.autocast(module.device.type, enabled=False):
        module.trainer.precision_plugin.pre_backward(loss, module).backward()


def in_step_precision(trainer: Trainer) -> AbstractContextManager[None]:
    """Compute a forward outside of `training_step` in the precision that Lightning gives it within."""
    return trainer.precision_plugin.train_step_context()


@contextmanager
def without_exchange(module: LightningModule) -> Iterator[None]:
    """Let backward add up this rank's own gradients; Lightning wraps the module for DDP and leaves it as it is else."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(False)
        yield
        module.set_requires_gradient_sync(True)
    elif isinstance(module.trainer.model, DistributedDataParallel):
        with module.trainer.model.no_sync():
            yield
    else:
        yield


def clip_gradients(module: LightningModule, optimizer: torch.optim.Optimizer, *, limit: float | None) -> Any:
    """Clip the gradients to a norm, or leave them; return the norm as it was, or None where a scaler looks after it.

    Lightning's own clipping refuses a fused optimizer under mixed precision.
    """
    scaler = getattr(module.trainer.precision_plugin, "scaler", None)
    if limit is None:
        norm = get_total_norm([one.grad for one in module.parameters() if one.grad is not None])
    else:
        # A fused optimizer would take the gradient scale out by itself, but only after the clipping.
        if scaler is not None:
            scaler.unscale_(optimizer)
        norm = clip_grad_norm_(module.parameters(), limit)
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    return norm if scaler is None else None


# Checkpoints


def convert_before_restoring(model: torch.nn.Module, *, precision: str) -> None:
    """Convert a model before Lightning restores its weights.

    Lightning restores them before it converts the model, and would round them to single precision on the way.
    """
    if precision == "64-true":
        model.double()


def number_optimizer_states(checkpoint: dict[str, Any], *, module: LightningModule) -> None:
    """Number the optimizer's parameters in a checkpoint as the model does, which is how sharded weights look them up.

    torch numbers them by their place in the groups, and reads that order back whatever the numbers are. Lightning has
    torch's state of each optimizer in the checkpoint before it asks the module what else belongs there.
    """
    if isinstance(module, FSDPModule):
        return  # numbered so already
    place_of = {parameter: place for place, parameter in enumerate(module.parameters())}
    for optimizer, saved in zip(module.trainer.optimizers, checkpoint["optimizer_states"], strict=True):
        places = [place_of[parameter] for group in optimizer.param_groups for parameter in group["params"]]
        saved["state"] = {places[number]: state for number, state in saved["state"].items()}
        for group in saved["param_groups"]:
            group["params"] = [places[number] for number in group["params"]]
