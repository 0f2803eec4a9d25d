"""Train an encoder on the source languages of a dataset, then score every language: python train.py --help"""

import hydra
from omegaconf import DictConfig

from babelfit.commands import told, with_open_overrides


@hydra.main(config_path="conf", config_name="train", execution_whitelist=[])
def main(config: DictConfig) -> None:
    """Check the configuration and train."""
    with told():
        from babelfit.config import TrainConfig, checked
        from babelfit.training import fit

        fit(checked(config, TrainConfig))


if __name__ == "__main__":
    with_open_overrides()
    main()
