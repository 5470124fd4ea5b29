"""Weights files: each gives its network back by itself, with what it means, whatever today's tables say."""

from dataclasses import asdict

import pytest
import torch

import maggan
from maggan import attributes, weights
from maggan.attributes import ATTRIBUTES, PARTS, relation_matrices
from maggan.basics.errors import MagganError
from maggan.basics.weights import read_metadata, save_weights
from maggan.networks.generator import Generator
from maggan.networks.judges import AttributeClassifier
from maggan.pretrained import NETWORKS, path
from maggan.profiles import profile
from maggan.regions import spatial_condition
from maggan.systems import build_generator
from maggan.variants import ROWS, resolve

SMOKE = profile("smoke")


def built(row):
    torch.manual_seed(0)
    return build_generator(resolve(row, SMOKE)).eval()


@pytest.fixture
def file(tmp_path):
    """Where the weights of a test go."""
    return tmp_path / "weights.safetensors"


def forget_profiles(monkeypatch):
    """As if a later version had none of today's profiles."""
    monkeypatch.setattr(weights, "PROFILES", {})


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_is_what_the_package_calls_load():
    assert maggan.load is weights.load


@pytest.mark.parametrize("row", ROWS)
def test_a_generator_comes_back_from_its_file_alone(file, row, monkeypatch):
    G = built(row)
    weights.save(file, G, iteration=8)
    forget_profiles(monkeypatch)
    loaded = weights.load(file)
    assert type(loaded) is type(G) and loaded.config == G.config and same(loaded, G)
    assert not any(module.training for module in loaded.modules())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert all(torch.equal(a, b) for a, b in zip(loaded.table, relation_matrices(G.config.table), strict=True))
    images, parts = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 19, 32, 32).softmax(1)
    batch = images, torch.eye(13)[:2], parts, torch.zeros(2, 13)
    with torch.no_grad():
        torch.testing.assert_close(loaded(*batch), G(*batch), rtol=0, atol=0)
    said = read_metadata(file)
    assert said["iteration"] == 8 and said["world"] == loaded.world == "drawn"
    weights.save(file, loaded, iteration=8)  # and goes on from hand to hand
    assert read_metadata(file) == said


def test_a_run_folder_stands_for_its_weights(tmp_path):
    weights.save(tmp_path / "stgan-seed0" / "weights.safetensors", built("stgan"))
    assert weights.load(tmp_path / "stgan-seed0").config.variant == "stgan"


@pytest.mark.parametrize("name", ["classifier", "features"])
@pytest.mark.parametrize("profile_name", ["smoke", "drawn128"])
def test_a_judge_comes_back_from_its_file_alone(file, name, profile_name, monkeypatch):
    torch.manual_seed(0)
    judge = weights.judge_of(name, profile(profile_name)).eval()
    weights.save(file, judge, seconds=1.5)
    forget_profiles(monkeypatch)
    loaded = weights.load(file)
    assert type(loaded) is type(judge) and same(loaded, judge) and not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), judge(images), rtol=0, atol=0)
    assert read_metadata(file)["seconds"] == 1.5


def test_a_file_keeps_the_relation_that_it_was_trained_with(file, tmp_path, monkeypatch):
    """It says the relation by the parts' names, and today's table may say something else."""
    weights.save(file, built("maggan"))
    parts, bald = torch.rand(1, 19, 32, 32).softmax(1), torch.eye(13)[[ATTRIBUTES.index("Bald")]]
    then = spatial_condition(parts, bald)
    changed = tmp_path / "relations.csv"
    changed.write_text(attributes.RELATIONS.read_text().replace("paper,Bald,+,hair", "paper,Bald,+,nose"))
    monkeypatch.setattr(attributes, "RELATIONS", changed)
    now = spatial_condition(parts, bald)
    assert not torch.equal(now, then)
    loaded, fresh = weights.load(file), built("maggan")
    assert torch.equal(loaded.condition(bald, parts), then) and torch.equal(fresh.condition(bald, parts), now)
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():  # the weights are equal, the relation is not
        own, other = loaded(images, bald, parts), fresh(images, bald, parts)
        assert not torch.equal(own, other)
        assert torch.equal(loaded(images, bald, parts, table="paper"), other)
    said = read_metadata(file)["relation"]
    weights.save(file, loaded)
    assert read_metadata(file)["relation"] == said and said["+"][ATTRIBUTES.index("Bald")] == ["hair"]


@pytest.mark.parametrize(("what", "names"), [("attributes", ATTRIBUTES), ("parts", PARTS)])
def test_a_network_of_other_attributes_or_parts_is_refused_by_name(file, what, names):
    """More of them, fewer, or the same in another order."""
    G = built("maggan")
    for others in ([*names[:-1], "Smiling"], names[1:], names[::-1]):
        save_weights(file, G, **{**weights.about(G), what: list(others)})
        with pytest.raises(MagganError, match=f"^{file} was trained for other {what} ") as error:
            weights.load(file)
        assert ", ".join(others) in str(error.value)


def test_a_judge_of_other_attributes_is_refused_too(file):
    judge = weights.judge_of("classifier", SMOKE)
    save_weights(file, judge, **{**weights.about(judge), "attributes": ["Smiling", *ATTRIBUTES[1:]]})
    with pytest.raises(MagganError, match="was trained for other attributes "):
        weights.load(file)


def test_files_of_earlier_versions_say_less(file):
    """A generator only its config, without settings that came later; a judge only its profile."""
    G = built("maggan")
    config = asdict(G.config)
    for later in ("critic_depth", "recompute", "fused"):
        del config[later]
    save_weights(file, G, config=config, iteration=8)
    loaded = weights.load(file)
    assert same(loaded, G) and loaded.config == G.config and loaded.table == "paper"
    assert weights.about(loaded)["world"] == "drawn"  # as its profile says
    for notes in ({}, {"judge": "classifier"}, {"judge": "features"}):
        judge = weights.judge_of(notes.get("judge", "classifier"), SMOKE)
        save_weights(file, judge, profile="smoke", **notes)
        assert type(weights.load(file)) is type(judge) and same(weights.load(file), judge)


def test_a_file_that_says_nothing_is_refused(file):
    save_weights(file, built("stgan"))
    with pytest.raises(MagganError, match=f"^{file} is not of this version.*it does not say what it is of"):
        weights.load(file)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_that_come_with_the_package_load(name):
    network = maggan.load(path(name))
    assert type(network) is (AttributeClassifier if name == "classifier" else Generator)
    assert {value.dtype for value in network.parameters()} == {torch.float32}  # halved on the disk alone
    if name != "classifier":
        assert network.config.variant == name and weights.world_of(network) == "drawn"


@pytest.mark.parametrize(
    "damage",
    [
        {"config": {"system": "newgan"}},
        {"config": {"newer": 1}},
        {"config": None},
        {"network": "NewJudge", "built": {}},
        {"network": "SmallFeatures", "built": {"depth": 3}},
    ],
    ids=str,
)
def test_what_another_version_wrote_is_one_line_that_names_the_file(file, damage):
    about = weights.about(built("stgan"))
    if damage.get("config"):
        damage = {"config": {**about["config"], **damage["config"]}}
    elif "config" in damage:
        damage = {"config": {"variant": "stgan"}}
    save_weights(file, built("stgan"), **damage)
    with pytest.raises(MagganError, match=f"^{file} is not of this version's maggan.train or maggan.judges"):
        weights.load(file)
