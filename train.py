"""Train an encoder on the source languages of a dataset, then score every language: python train.py --help"""

import hydra
from omegaconf import DictConfig

from babelfit.commands.compose import introduce_to_hydra
from babelfit.commands.train import train


@hydra.main(config_path="conf", config_name="train", execution_whitelist=[])
def main(config: DictConfig) -> None:
    """Train."""
    train(config)


if __name__ == "__main__":
    introduce_to_hydra()
    main()
