"""Train an encoder on the source languages of a dataset, then score every language: python train.py --help"""

from babelfit.commands.train import run

if __name__ == "__main__":
    run()
