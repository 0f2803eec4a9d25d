"""The progress bar is one that shows where it is."""

import pytest
from pytorch_lightning.callbacks import RichProgressBar, TQDMProgressBar

from babelfit.devices.trainer import _progress_bar


@pytest.mark.parametrize(("is_jupyter", "kind"), [(True, TQDMProgressBar), (False, RichProgressBar)])
def test_a_notebook_has_a_bar_that_needs_no_widgets(
    monkeypatch: pytest.MonkeyPatch, is_jupyter: bool, kind: type
) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: is_jupyter)
    assert isinstance(_progress_bar(), kind)
