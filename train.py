"""Train an encoder on the source languages of a dataset, then score every language: python train.py --help"""

import hydra
from omegaconf import DictConfig

from babelfit import sweep
from babelfit.commands import told, with_open_overrides


@hydra.main(config_path="conf", config_name="train", execution_whitelist=[])
def main(config: DictConfig) -> None:
    """Check the configuration and train; in a sweep, leave that to a process of its own."""
    with told():
        if sweep.is_running():
            sweep.run_trial(config)
            return
        from babelfit.config import TrainConfig, checked
        from babelfit.launch import supervised
        from babelfit.ranks import joined

        settings = checked(config, TrainConfig)
        if not supervised(settings.trainer):
            from babelfit.training import fit

            with joined(settings.trainer):
                fit(settings)


if __name__ == "__main__":
    with_open_overrides()
    main()
    sweep.end()
