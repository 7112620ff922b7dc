"""The names that other libraries have for settings lead to ours."""

from orchestrator.sweep.cell_settings import SETTING_NAMES
from orchestrator.sweep.schema import SweepFile
from orchestrator.sweep.unknown_setting import SYNONYMS, TOP_LEVEL, unknown_setting


def test_every_synonym_means_a_setting_and_is_none() -> None:
    assert set(SYNONYMS.values()) <= set(SETTING_NAMES)
    assert not set(SYNONYMS) & set(SETTING_NAMES)


def test_every_key_of_a_files_top_level_is_known() -> None:
    assert set(TOP_LEVEL) - {"seed"} == set(SweepFile.model_fields) - {"fixed", "grid", "include", "exclude"}


def test_a_poor_match_is_not_suggested() -> None:
    assert unknown_setting("learn_speed") == "unknown setting 'learn_speed'; fsl plan SWEEP --settings shows the settings"
