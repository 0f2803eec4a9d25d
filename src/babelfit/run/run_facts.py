"""What a reader of the reports wants to know of a run, in words."""

from babelfit.config.regimes import in_words
from babelfit.config.schema import LabelledConfig
from babelfit.run import manifest
from babelfit.run.run import Run
from babelfit.tasks import Task, of_document, of_head


def facts_of(run: Run) -> dict[str, str]:
    """Return what the reports of a run say of it: name -> value. Its training must be over."""
    config, selected = run.config(), run.status().selected
    assert selected is not None
    task = task_of(run)
    saw = {"vocabulary": config.encoder.vocabulary}
    if task.compares_languages and isinstance(config.data, LabelledConfig):
        few_shot = config.data.few_shot
        regime = in_words(config.data.regime, k=few_shot.k, languages=few_shot.languages, examples=task.few_shot)
        saw = {"regime": regime}
    return {
        "run": config.name,
        "encoder": f"{config.encoder.path}{'' if config.encoder.pretrained else ', from random weights'}",
        "trained on": ", ".join(config.data.train_languages),
        **saw,
        "seed": str(config.seed),
        "checkpoint": f"step {selected.step} of {selected.of}, chosen by {selected.by} "
        f"({task.selection_in_words(selected.score)})",
    }


def task_of(run: Run) -> Task:
    """Return the task that a run was trained on; older manifests do not say it, and then it is that of its head."""
    known = manifest.read(run.folder)
    if known.task is not None:
        return of_document(known.task, known.labels, where=run.folder / "manifest.json")
    return of_head(run.config().head.name)
