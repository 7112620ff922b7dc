"""``fsl_core`` alone: installed from a wheel beside torch and torchvision and nothing else, it trains and scores a trial."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEVER_THERE = ("ray", "mlflow", "click", "pandas", "pydantic", "rich", "matplotlib", "pyarrow")

SCRIPT = """
import importlib.util, json, sys
from pathlib import Path

from fsl_core.datasets.catalogue import open_dataset
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.recipe.algorithm_settings import PrototypicalSettings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe, ValidationSettings
from fsl_core.training.trial import TrialRun, run_trial
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


def uv() -> str:
    """The uv at hand: the machine's, else the one in this environment."""
    for candidate in ("uv", str(Path(sys.executable).parent / "uv")):
        if shutil.which(candidate) and subprocess.run([candidate, "--version"], capture_output=True).returncode == 0:
            return candidate
    pytest.skip("uv is neither on PATH nor in this environment")


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_it_trains_with_torch_and_torchvision_alone(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("fsl_core", "orchestrator"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(uv(), "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", tmp_path / "dist", cwd=source)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    run(uv(), "venv", "--python", sys.executable, tmp_path / "alone", cwd=tmp_path)
    python = tmp_path / "alone" / "bin" / "python"
    run(uv(), "pip", "install", "--python", python, "-c", ROOT / "requirements.lock", wheel, cwd=tmp_path)

    printed = run(python, "-I", "-c", SCRIPT, tmp_path / "work", *NEVER_THERE, cwd=tmp_path)

    found = json.loads(printed)
    assert found["present"] == []
    assert found["loaded"] == []
    assert str(tmp_path / "alone") in found["from"]
    assert found["status"] == "complete"
    assert found["losses"][-1] < found["losses"][0]
    assert found["accuracy"] > 0.4, "chance is 0.2"
