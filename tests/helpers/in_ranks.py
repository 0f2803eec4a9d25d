"""Commands one after the other in the same processes: starting the stack anew for each would take seconds.

    python in_ranks.py DEVICES '[{"script": "train", "arguments": [...], "fault": {...}}, ...]'

Each rank writes how the commands ended to statuses-RANK.json. A fault makes one rank misbehave at one step.
"""

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from hydra import compose, initialize_config_dir

from babelfit.commands.compose import introduce_to_hydra
from babelfit.commands.session import cli_session
from babelfit.config.schema import EvaluateConfig, TrainConfig, TrainerConfig, checked
from babelfit.devices import preemption, ranks

CONF = Path(__file__).resolve().parents[2] / "conf"


def run(script: str, arguments: list[str], *, fault: dict[str, Any] | None = None) -> int:
    """Run train.py or evaluate.py with these arguments, as this rank; return the exit status."""
    introduce_to_hydra()
    with initialize_config_dir(str(CONF)):
        composed = compose(script, arguments)
    # Each command has an end of its own.
    anew = mock.patch.object(ranks, "_END", f"end of {arguments}")
    try:
        with anew, cli_session(), _in_haste(), _faulty(**(fault or {})):
            if script == "train":
                from babelfit.training import fit

                fit(checked(composed, TrainConfig))
            else:
                from babelfit.evaluation import evaluate

                evaluate(checked(composed, EvaluateConfig))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@contextmanager
def _in_haste() -> Iterator[None]:
    """Draw no pages, which are looked at elsewhere, and do not wait for the disk, whose power is not cut here."""
    with mock.patch("babelfit.reports.page.write_page"), mock.patch.object(os, "fsync", os.fstat):
        yield


@contextmanager
def _faulty(kind: str = "none", rank: int = 0, step: int = 0, tokens: int = 0) -> Iterator[None]:
    """Let a rank stop, run out of memory or disk, or lose its numbers."""
    import torch

    from babelfit.finetuning.finetuner import Finetuner

    training_step, loss, outputs = Finetuner.training_step, Finetuner._loss, Finetuner._outputs
    backward, save = torch.Tensor.backward, torch.save

    def faulty_step(self: Finetuner, *given: Any) -> Any:
        if self.global_step == step and ranks.rank() == rank:
            if kind == "signal":
                os.kill(os.getpid(), signal.SIGTERM)
            elif kind == "signal to the supervisor":
                os.kill(os.getppid(), signal.SIGTERM)
                while preemption._signals.received is None:
                    time.sleep(0.01)
            elif kind == "killed supervisor":
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(3)
            elif kind == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
        return training_step(self, *given)

    def poor(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(self: Finetuner, batch: Any) -> Any:
            if ranks.rank() == rank and batch.num_tokens > tokens:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return method(self, batch)

        return run

    def poor_backward(self: torch.Tensor, *given: Any, **options: Any) -> None:
        # The returned loss alone comes here with Lightning's own frames below.
        if ranks.rank() == rank and sys._getframe(1).f_code.co_qualname == "Finetuner.backward":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        backward(self, *given, **options)

    def no_number(self: Finetuner, batch: Any) -> Any:
        wrong = self.global_step == step and ranks.rank() == rank
        return loss(self, batch) * (float("nan") if wrong else 1)

    def full(checkpoint: dict[str, Any], stream: Any) -> None:
        if checkpoint["global_step"] == step:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")
        save(checkpoint, stream)

    patches = {
        "no number": mock.patch.object(Finetuner, "_loss", no_number),
        "full disk": mock.patch.object(torch, "save", full),
        "little memory": mock.patch.multiple(Finetuner, _loss=poor(loss), _outputs=poor(outputs)),
        "no memory for the last backward": mock.patch.object(torch.Tensor, "backward", poor_backward),
    }
    with patches.get(kind, mock.patch.object(Finetuner, "training_step", faulty_step)):
        yield


def main() -> None:
    devices, commands = int(sys.argv[1]), json.loads(sys.argv[2])
    config = TrainerConfig(
        accelerator="cpu",
        devices=devices,
        num_nodes=1,
        strategy="auto",
        precision=None,
        tokens_per_device=1,
        attention="auto",
        compile=False,
        workers=None,
    )
    with cli_session():
        from babelfit.devices.launch import run_in_subprocesses

        if run_in_subprocesses(config):
            return
        with ranks.process_group(config):
            # What imports make, the collector of garbage would walk through in every run.
            from tiny_data import MODULES

            from babelfit import evaluation, training  # noqa: F401
            from babelfit.datasets import DATASETS

            DATASETS.update(MODULES)
            gc.freeze()
            statuses = []
            for command in commands:
                arguments = [*command["arguments"], "trainer.accelerator=cpu", f"trainer.devices={devices}"]
                statuses.append(run(command["script"], arguments, fault=command.get("fault")))
                Path(f"statuses-{ranks.rank()}.json").write_text(json.dumps(statuses))
            # The last may leave the others in the middle of something.
            if statuses[-1]:
                sys.exit(statuses[-1])


if __name__ == "__main__":
    main()
