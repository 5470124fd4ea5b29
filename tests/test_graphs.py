"""Steps as CUDA graphs, tried without a GPU: static tensors, one capture a form, the same losses."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from maggan.basics.parallel import launch
from maggan.networks.discriminator import MultiLevelDiscriminator
from maggan.networks.layers import ChannelNorm, ImageNorm, normalised
from maggan.profiles import profile
from maggan.systems import SYSTEMS
from maggan.train import graphs, read_log, train
from maggan.train.run import Run
from maggan.variants import ROWS, resolve


class OnCPU(graphs.Graphs):
    """Graphs that are computed anew instead of replayed; `made` says which forms were captured."""

    def __init__(self):
        self.calls, self.captured, self.made = graphs.Counter(), {}, []

    def aside(self, function, *inputs):
        return function(*inputs)

    def capture(self, function, inputs):
        static = graphs.Static(inputs)
        self.made.append(graphs.signature(inputs))
        return lambda *others: function(*static.take(others))


CAPTURED = [row for row in ROWS if SYSTEMS[ROWS[row].settings.get("system", "stgan")].capturable]


@pytest.fixture
def on_cpu(monkeypatch):
    """Runs have graphs, computed anew on the CPU; the list of those that were made."""
    made = []
    monkeypatch.setattr(Run, "has_graphs", True)
    monkeypatch.setattr("maggan.train.run.Graphs", lambda: made.append(OnCPU()) or made[-1])
    adam = torch.optim.Adam

    def of_numbers(parameters, lr, capturable, **more):  # a CPU knows no captured Adam; a rate in float32 is another
        return adam(parameters, lr=float(lr), **more)

    monkeypatch.setattr(torch.optim, "Adam", of_numbers)
    return made


@pytest.mark.parametrize("row", CAPTURED)
def test_steps_of_static_tensors_have_the_losses_of_ordinary_ones(runs, row, monkeypatch, request):
    """Bit for bit, over 50 iterations, of two steps of D each where that makes forms of inputs of its own."""
    settings = dict(iterations=50, critic_steps=2 if row == "maggan" else 1)
    plain = read_log(train(row, "smoke", **settings))
    (runs / "smoke" / f"{row}-seed0").rename(runs / "plain")
    made = request.getfixturevalue("on_cpu")
    pd.testing.assert_frame_equal(read_log(train(row, "smoke", **settings)), plain, check_exact=True)
    # with the penalty and without, with eq. 6 and without: of one step of D never the penalty alone; of two the first
    # may have the penalty, and the one with G eq. 6
    assert len(made[0].made) == len(set(made[0].made)) == (4 if row == "maggan" else 3)


def test_rates_are_tensors_that_stay_where_they_are(on_cpu):
    run = Run(resolve("maggan", profile("smoke")), launch("cpu"), None)
    rates = []
    for _, optimiser in (run.g, run.d):
        optimiser.param_groups[0]["lr"] = torch.tensor(1e-3)
        rates.append(optimiser.param_groups[0]["lr"])
    run.iteration = 6  # of 8, the rate falls linearly from the 4th on
    run.set_rates()
    assert all(rate is opt.param_groups[0]["lr"] for rate, (_, opt) in zip(rates, (run.g, run.d), strict=True))
    assert [rate.item() for rate in rates] == pytest.approx([5e-4, 5e-4])
    run.graphs = None
    run.settle_rates()  # of a checkpoint that a run with graphs wrote
    assert [type(optimiser.param_groups[0]["lr"]) for _, optimiser in (run.g, run.d)] == [float, float]


def test_inputs_of_another_form_are_another_graph():
    a, b = torch.zeros(2, 3), torch.zeros(3, 3)
    forms = [graphs.signature(each) for each in ((a, True), (a, False), (b, True), (None, True), ([a, a], True))]
    assert len(set(forms)) == len(forms) and graphs.signature((a + 1, True)) == forms[0]


def test_static_inputs_stay_where_they_are():
    static = graphs.Static(({"x": torch.zeros(2)}, None, 3))
    first, second = static.take(({"x": torch.ones(2)}, None, 3)), static.take(({"x": torch.full((2,), 5.0)}, None, 3))
    assert first[0]["x"].data_ptr() == second[0]["x"].data_ptr() and first[0]["x"].tolist() == [5.0, 5.0]
    assert second[1:] == (None, 3)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("norm", "dims"), [(ImageNorm, (1, 2, 3)), (ChannelNorm, (2, 3))])
def test_norms_in_two_stages_are_the_library_s(norm, dims, affine):
    torch.manual_seed(0)
    x = (3 * torch.randn(4, 8, 16, 16) + 1).requires_grad_()
    module = norm(8, affine=affine)
    if affine:
        torch.nn.init.normal_(module.weight)
        torch.nn.init.normal_(module.bias)
    ours = normalised(x, dims, module.weight, module.bias, module.eps)
    torch.testing.assert_close(ours, module(x), rtol=1e-5, atol=1e-5)
    # the penalty goes through them twice
    seconds = []
    for made in (ours, module(x)):
        (first,) = torch.autograd.grad(made.square().sum(), x, create_graph=True)
        seconds.append(torch.autograd.grad(first.square().sum(), x)[0])
    torch.testing.assert_close(*seconds, rtol=1e-3, atol=1e-3)


def test_patches_are_cut_alike_on_every_device(monkeypatch):
    """On a GPU by gathering, on a CPU by slices; tried by having the CPU gather."""
    D = MultiLevelDiscriminator(resolve("maggan-multilevel", profile("smoke")))
    torch.manual_seed(0)
    images, places = torch.rand(3, 3, 32, 32, requires_grad=True), [torch.rand(3, 2)]
    sliced = D.views(images, places)[1]
    monkeypatch.setattr(torch.Tensor, "device", property(lambda x: SimpleNamespace(type="elsewhere")))
    make = torch.arange
    monkeypatch.setattr(torch, "arange", lambda n, device: make(n))
    monkeypatch.setattr(torch, "as_tensor", lambda x, device: x)
    gathered = D.views.cut(images, places[0])
    assert torch.equal(sliced, gathered)
    weight = torch.rand(sliced.shape)
    of_sliced, of_gathered = (torch.autograd.grad((each * weight).sum(), images)[0] for each in (sliced, gathered))
    assert torch.equal(of_sliced, of_gathered)
