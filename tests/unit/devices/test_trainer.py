"""The progress bar is one that shows where it is, and none where nothing can."""

import pytest
from pytorch_lightning.callbacks import RichProgressBar, TQDMProgressBar

from babelfit.devices.trainer import _progress_bar


@pytest.mark.parametrize(
    ("is_jupyter", "is_terminal", "kinds"),
    [(True, False, [TQDMProgressBar]), (False, True, [RichProgressBar]), (False, False, [])],
)
def test_a_notebook_has_a_bar_that_needs_no_widgets_and_a_file_has_none(
    monkeypatch: pytest.MonkeyPatch, is_jupyter: bool, is_terminal: bool, kinds: list[type]
) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: is_jupyter)
    monkeypatch.setattr("rich.console.Console.is_terminal", is_terminal)
    bars = _progress_bar()
    assert len(bars) == len(kinds)
    assert all(isinstance(bar, kind) for bar, kind in zip(bars, kinds, strict=True))
