"""Rows and profiles: names, diffs, and what a typing error says."""

import json

import pytest

from maggan.basics.errors import MagganError
from maggan.config import Config
from maggan.profiles import PROFILES, profile
from maggan.variants import ROWS, TITLES, VARIANTS, deviations, resolve

SMOKE, DRAWN = profile("smoke"), profile("drawn64")


def test_rows_of_table_3_in_order():
    slugs = ["stgan", "stgan-cycle", "stgan-mre", "maggan-no-mre", "maggan-no-spade", "maggan", "maggan-seg"]
    assert list(VARIANTS) == slugs and list(TITLES) == list(ROWS)


def test_every_row_resolves_on_every_profile_and_differs_only_by_its_diff():
    for at in PROFILES.values():
        base = resolve("stgan", at)
        for row, diff in VARIANTS.items():
            config = resolve(row, at)
            changed = {key for key in vars(base) if getattr(base, key) != getattr(config, key)}
            assert changed == set(diff) | {"variant"} - ({"variant"} if row == "stgan" else set())


def test_the_papers_profile_is_stgans_recipe():
    config = resolve("maggan", profile("celeba256"))
    assert (config.lambda_1, config.lambda_2, config.lambda_gp, config.critic_steps) == (100, 10, 10, 5)
    assert deviations(profile("celeba256")) == {}


def test_deviations_name_the_published_value_and_ours():
    for name, (published, ours) in deviations(DRAWN).items():
        assert published == getattr(Config, name) and ours == getattr(resolve("stgan", DRAWN), name) != published


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resolve("magan", SMOKE), "unknown row 'magan': did you mean 'maggan'?"),
        (lambda: profile("smok"), "unknown profile 'smok': did you mean 'smoke'?"),
        (lambda: resolve("maggan", SMOKE, lamda_3=1), "unknown setting 'lamda_3': did you mean 'lambda_3'?"),
        (lambda: resolve("maggan", SMOKE, masks="brnch"), "unknown masks 'brnch': did you mean 'branch'?"),
        (lambda: resolve("maggan", SMOKE, system="atgan"), "unknown system 'atgan': did you mean 'attgan'?"),
        (lambda: resolve("maggan", SMOKE, table="papr"), "unknown table 'papr': did you mean 'paper'?"),
        (lambda: profile("celeba65"), "did you mean 'celeba64'?"),
        (lambda: Config.of({**vars(resolve("maggan", SMOKE)), "lamda_3": 1}), "unknown setting 'lamda_3': did you"),
    ],
)
def test_a_typing_error_names_the_nearest_right_name(call, message):
    with pytest.raises(MagganError) as error:
        call()
    assert message in str(error.value)


def test_config_survives_json_and_names_itself():
    config = resolve("maggan", DRAWN, seed=3, lambda_3=50.0)
    assert Config.of(json.loads(config.to_json())) == config
    assert config.hash() != resolve("maggan", DRAWN, seed=3).hash()


def test_compiled_code_does_not_recompute():
    with pytest.raises(MagganError, match="^compile=true and recompute=true exclude each other"):
        resolve("maggan", profile("drawn1024"), compile=True)
