"""``fsl_core`` alone: installed from a wheel, without the orchestrator's libraries and without numba, it trains and scores a trial."""

import json

import pytest

from tests.built_wheel import ROOT, build_wheel, empty_environment, run, uv

NEVER_THERE = ("numba", "ray", "mlflow", "click", "pandas", "pydantic", "rich", "matplotlib", "pyarrow")

SCRIPT = """
import importlib.util, json, sys
from pathlib import Path

from fsl_core.datasets.catalogue import open_dataset
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.recipe.algorithm_settings import PrototypicalSettings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe, ValidationSettings
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_run import TrialRun
from fsl_core.training.trial_evaluation import evaluate_trial

folder = Path(sys.argv[1])
recipe = TrainingRecipe(
    algorithm=PrototypicalSettings(),
    data=DataSettings(dataset="glyphs", split="glyphs"),
    episode=EpisodeShape(way=10, shot=1, query=5),
    validation=ValidationSettings(shape=EpisodeShape(way=5, shot=1, query=5), every=20, episodes=50),
    steps=40,
    seed=0,
)
dataset = open_dataset(recipe.data, data_root=None, cache_root=folder / "data")
result = run_trial(recipe, TrialRun(folder=folder / "trial", dataset=dataset))
score = evaluate_trial(
    result, Evaluation(shape=EpisodeShape(way=5, shot=1, query=5), episodes=200), folder=folder / "trial", dataset=dataset
)
print(json.dumps({
    "status": result.status,
    "losses": [loss for _, loss in result.curves["train_loss"]],
    "accuracy": score.accuracy,
    "present": [name for name in sys.argv[2:] if importlib.util.find_spec(name)],
    "loaded": sorted({name.partition(".")[0] for name in sys.modules} & {"orchestrator", *sys.argv[2:]}),
    "from": sys.modules["fsl_core"].__file__,
}))
"""


@pytest.mark.slow
def test_it_trains_with_torch_and_torchvision_alone(tmp_path):
    wheel = build_wheel(tmp_path)
    python = empty_environment(tmp_path / "alone") / "python"
    run(uv(), "pip", "install", "--python", python, "-c", ROOT / "requirements.lock", wheel, cwd=tmp_path)
    run(uv(), "pip", "uninstall", "--python", python, "numba", cwd=tmp_path)

    printed = run(python, "-I", "-c", SCRIPT, tmp_path / "work", *NEVER_THERE, cwd=tmp_path)

    found = json.loads(printed)
    assert found["present"] == []
    assert found["loaded"] == []
    assert str(tmp_path / "alone") in found["from"]
    assert found["status"] == "complete"
    assert found["losses"][-1] < found["losses"][0]
    assert found["accuracy"] > 0.4, "chance is 0.2"
