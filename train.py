"""Train an encoder on the source languages of a dataset, then score every language: python train.py --help"""

import hydra
from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from babelfit.commands.session import introduce_to_hydra, told
from babelfit.sweep.sweeper import Sweeper, is_running


@hydra.main(config_path="conf", config_name="train", execution_whitelist=[])
def main(config: DictConfig) -> None:
    """Check the configuration and train; sent here by a sweep's launcher, have a process of its own do that."""
    with told():
        if is_running():
            from babelfit.sweep.trials import run_as_job

            run_as_job()
            return
        from babelfit.config.schema import TrainConfig, checked
        from babelfit.devices.launch import supervised
        from babelfit.devices.ranks import joined

        settings = checked(config, TrainConfig)
        if not supervised(settings.trainer):
            from babelfit.training import fit

            with joined(settings.trainer):
                fit(settings)


if __name__ == "__main__":
    introduce_to_hydra()
    Plugins.instance().register(Sweeper)
    main()
