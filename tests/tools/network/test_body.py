"""Motion from the body's keypoints: one frame on cached keys and values equals the whole sequence."""

from __future__ import annotations

import msgspec
import pytest
import torch

from egostream.errors import EgostreamError
from egostream.told import TOLD
from tools.network.body import BodyDecoder, BodyEncoder
from tools.network.spec import NetworkSpec, require_backbone

T, D, DEPTH, L, N = 6, 16, 2, 14, 3


@pytest.fixture
def encoder():
    """A small encoder whose heads weigh keys by age."""
    torch.manual_seed(0)
    made = BodyEncoder(T, D, DEPTH).eval()
    for block in made.blocks:
        torch.nn.init.normal_(block.age_bias)
    return made


def sequences():
    """Rays, confidences and what is told of N sequences of L slots, and which slots have a frame."""
    torch.manual_seed(1)
    rays = torch.nn.functional.normalize(torch.randn(N, L, 15, 3), dim=-1)
    told = torch.cat([torch.randn(N, L, TOLD - 4), (torch.rand(N, L, 4) > 0.5).float()], -1)
    return rays, torch.rand(N, L, 15), told, torch.rand(N, L) > 0.3


def test_a_cached_step_equals_the_whole_sequence(encoder):
    """Also where slots are absent, and where the window is not full yet."""
    rays, confidence, told, valid = sequences()
    cache, seen = torch.zeros(N, DEPTH, 2, T - 1, D), torch.zeros(N, T - 1, dtype=torch.bool)
    with torch.no_grad():
        whole = encoder(rays, confidence, told, valid)
        for n in range(L):
            motion, state = encoder.step(rays[:, n], confidence[:, n], told[:, n], cache, seen)
            here = valid[:, n]
            torch.testing.assert_close(motion[here], whole[here, n], atol=1e-5, rtol=1e-5)
            cache = torch.cat([cache[:, :, :, 1:], state.unsqueeze(3)], 3)
            seen = torch.cat([seen[:, 1:], here.unsqueeze(1)], 1)


def test_nothing_comes_from_the_future_or_from_beyond_the_window(encoder):
    rays, confidence, told, valid = sequences()
    valid[:] = True
    with torch.no_grad():
        before = encoder(rays, confidence, told, valid)
        changed = rays.clone()
        changed[:, 7] = -changed[:, 7]
        after = encoder(changed, confidence, told, valid)
    moved = (before - after).abs().amax((0, 2)) > 1e-6
    reach = DEPTH * (T - 1)  # each block sees T - 1 slots further back
    assert moved.tolist() == [7 <= n <= 7 + reach for n in range(L)]


def test_what_is_not_known_counts_for_nothing(encoder):
    rays, confidence, told, valid = sequences()
    told[..., -4:] = 0
    with torch.no_grad():
        nothing = encoder(rays, confidence, torch.zeros_like(told), valid)
        torch.testing.assert_close(encoder(rays, confidence, told, valid), nothing)


def test_the_decoder_places_joints_by_rays_and_judges_them():
    decoder, rays = BodyDecoder(D), sequences()[0][:, 0]
    joints, sigma = decoder(torch.zeros(N, D), rays)
    assert joints.shape == (N, 15, 3) and (sigma > 0).all()
    assert (torch.nn.functional.cosine_similarity(joints, rays, dim=-1) > 0.95).all()


def test_specs_that_cannot_be_are_refused():
    assert NetworkSpec(temporal="causal", backbone="none").form == "body"
    assert NetworkSpec(temporal="causal").form == "causal"
    with pytest.raises(ValueError, match="no backbone 'small'"):
        NetworkSpec(backbone="small")
    with pytest.raises(ValueError, match="causal form"):
        NetworkSpec(backbone="none")


def test_tools_that_need_a_backbone_say_so(weights_of):

    weights = weights_of("causal")
    require_backbone(weights, "--torch")
    without = msgspec.structs.replace(weights, network=weights.network | {"backbone": "none"})
    assert without.graphs == ("heatmap", "temporal", "decoder")
    with pytest.raises(EgostreamError, match="--torch: weights .* have no backbone"):
        require_backbone(without, "--torch")
