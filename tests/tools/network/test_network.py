"""The PyTorch network against PyTorch's own layers and the released description."""

from __future__ import annotations

import pytest
import torch
from released_checkpoints import (
    make_checkpoints,
    reference_feature,
    reference_heatmaps,
    reference_joints,
    reference_motion,
    reference_tokens,
)
from torch import nn

from egostream.graph.weights import load_weights
from tools.network import NetworkSpec, build_network
from tools.network.build import load_network
from tools.network.decoder import DecoderGraph
from tools.network.temporal import (
    Block,
    CausalEncoder,
    DepthwiseConv,
    ReleasedEncoder,
    WindowEncoder,
    attend,
    neighbours,
)
from tools.network.vision import Normalise

C = 384


@pytest.fixture(autouse=True)
def seeded():
    """The same random tensors for every test. One thread: its operators are too small to share between cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def lively(encoder):
    """Residual scales of one, so that every block counts."""
    for block in encoder.blocks:
        block.scale_attention.fill_(1.0)
        block.scale_mlp.fill_(1.0)
    return encoder.eval()


def test_normalisation_is_imagenets():
    frame = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = ((frame / 255 - mean) / std).permute(0, 3, 1, 2)
    torch.testing.assert_close(Normalise()(frame), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_conv_is_conv1d(stride):
    ours = DepthwiseConv(C)
    theirs = nn.Conv1d(C, C, 3, stride=stride, padding=1, groups=C, bias=False)
    theirs.weight.copy_(ours.weight)
    x = torch.randn(2, 32, C)
    torch.testing.assert_close(
        ours(*neighbours(x, stride)), theirs(x.transpose(1, 2)).transpose(1, 2), atol=1e-5, rtol=1e-5
    )


def test_attention_is_scaled_dot_product_attention():
    q, k, v = torch.randn(3, 2, 16, C)
    allowed = torch.rand(2, 1, 16, 16) > 0.4
    allowed[..., 0] = True
    split = lambda x: x.reshape(2, 16, 4, 96).transpose(1, 2)  # noqa: E731
    expected = nn.functional.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=allowed)
    ours = attend(q, k, v, torch.where(allowed, 0.0, -3e4))
    torch.testing.assert_close(ours, expected.transpose(1, 2).flatten(2), atol=1e-5, rtol=1e-5)


def test_absent_slots_equal_a_shorter_sequence():
    encoder = lively(WindowEncoder(64))
    features, valid = torch.randn(2, 64, C), torch.zeros(2, 64, dtype=torch.bool)
    valid[:, 50:] = True
    masked = encoder(features, valid)[:, 50:]
    torch.testing.assert_close(masked, encoder(features[:, 50:], valid[:, 50:]), atol=1e-4, rtol=1e-4)


def test_an_absent_slots_value_never_matters():
    for encoder in (WindowEncoder(64), CausalEncoder(64), ReleasedEncoder(32)):
        lively(encoder)
        T = encoder.window
        features, valid = torch.randn(1, T, C), torch.rand(1, T) > 0.4
        valid[:, -1] = True
        changed = torch.where(valid.unsqueeze(-1), features, features + 100)
        torch.testing.assert_close(encoder(features, valid)[valid], encoder(changed, valid)[valid])


@pytest.mark.parametrize("make", [lambda: WindowEncoder(64), lambda: ReleasedEncoder(32)], ids=["paper", "released"])
@pytest.mark.parametrize("present", [64, 20, 1])
def test_newest_is_the_last_row(make, present):
    encoder = lively(make())
    T = encoder.window
    features, valid = torch.randn(2, T, C), torch.arange(T).repeat(2, 1) >= T - present
    torch.testing.assert_close(encoder.newest(features, valid), encoder(features, valid)[:, -1], atol=1e-4, rtol=1e-4)
    assert torch.isfinite(encoder.newest(features, valid)).all()


def stream(encoder, features, valid):
    """Run ``step`` over a sequence, keeping its state the way a stream does."""
    N, L, _ = features.shape
    past = encoder.window - 1
    states, seen, outputs = torch.zeros(N, past, 8, 3, C), torch.zeros(N, past, dtype=torch.bool), []
    for n in range(L):
        caches = states.permute(0, 2, 3, 1, 4)  # [N, 8, 3, past, C]
        motion, state = encoder.step(
            features[:, n], caches[:, :, 0, -2:], caches[:, :4, 1:, -8:], caches[:, 4:, 1:], seen
        )
        outputs.append(motion)
        states = torch.cat([states[:, 1:], state[:, None]], 1)
        seen = torch.cat([seen[:, 1:], valid[:, n : n + 1]], 1)
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("window", [64, 12])
def test_causal_streaming_equals_the_whole_sequence(window):
    encoder = lively(CausalEncoder(window))
    features, valid = torch.randn(2, 90, C), torch.ones(2, 90, dtype=torch.bool)
    valid[1, 30:41] = False
    whole, streamed = encoder(features, valid), stream(encoder, features, valid)
    assert (whole - streamed)[valid].abs().max() < 1e-4


def test_causal_form_never_looks_ahead_nor_beyond_its_reach():
    encoder = lively(CausalEncoder(64))
    features, valid = torch.randn(1, 80, C), torch.ones(1, 80, dtype=torch.bool)
    changed = features.clone()
    changed[:, 60:] += 1
    difference = (encoder(features, valid) - encoder(changed, valid)).abs().amax((0, 2))
    assert difference[:60].max() == 0 and difference[60:].min() > 0
    alone = CausalEncoder(64)
    alone.blocks = alone.blocks[:1]
    lively(alone)
    difference = (
        (alone(features, valid) - alone(torch.cat([features[:, :1] + 1, features[:, 1:]], 1), valid)).abs().amax((0, 2))
    )
    assert difference[10].item() > 0 and difference[11:].max() == 0  # eight keys back, whose conv looks two further


def test_local_blocks_reach_four_frames_and_their_convolutions_one_more():
    encoder = WindowEncoder(64)
    encoder.blocks = encoder.blocks[:1]
    lively(encoder)
    features, valid = torch.randn(1, 64, C), torch.ones(1, 64, dtype=torch.bool)
    changed = features.clone()
    changed[:, 32] += 1
    touched = (encoder(features, valid) - encoder(changed, valid)).abs().amax((0, 2)) > 0
    assert touched.nonzero().ravel().tolist() == list(range(27, 38))


def test_released_schedule():
    assert ReleasedEncoder.schedule(32) == [(0, True), (1, True), (2, False), (3, False), (4, False)]
    assert len(ReleasedEncoder.schedule(64)) == 6  # one scale too many for the released fusion
    with pytest.raises(ValueError, match="T = 32"):
        NetworkSpec(variant="released", window=64)


def test_released_network_is_the_described_one(released_folder):
    """Imported tensors in our network against the description written out over the checkpoints' own keys."""
    checkpoints = make_checkpoints()
    network = load_network(load_weights(released_folder))
    features = torch.randn(32, C)
    ours = network.temporal(features[None], torch.ones(1, 32, dtype=torch.bool))[0]
    expected = reference_motion(checkpoints["encoder"], features)
    assert expected.std() > 0.1
    torch.testing.assert_close(ours, expected, atol=2e-4, rtol=1e-4)
    frames = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8)
    normalised = network.heatmap.normalise(frames)
    heatmaps = reference_heatmaps(checkpoints["heatmap"], normalised)
    tokens, feature = (
        reference_tokens(checkpoints["embedding"], heatmaps),
        reference_feature(checkpoints["encoder"], normalised),
    )
    joints = reference_joints(checkpoints["decoder"], tokens, features[:2])
    torch.testing.assert_close(network.heatmap(frames)[0], heatmaps, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network.heatmap(frames)[1], tokens, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(network.backbone(frames), feature, atol=1e-4 * feature.abs().max().item(), rtol=1e-4)
    torch.testing.assert_close(network.decoder(tokens, features[:2]), joints, atol=1e-4, rtol=1e-4)


def test_released_weights_name_their_input(released_folder):
    """The released network saw whole frames, squashed (their own pre-processing), in windows of 32."""
    weights = load_weights(released_folder)
    assert (weights.input.calibration, weights.input.mapping) == ("canonical", "squash")
    assert (weights.variant, weights.temporal, weights.window, weights.trained) == ("released", "window", 32, True)


def test_decoder_is_pytorchs_transformer_decoder():
    ours = DecoderGraph().eval()
    theirs = nn.TransformerDecoder(nn.TransformerDecoderLayer(128, 4, 512, batch_first=True), 3).eval()
    theirs.load_state_dict(
        {k.removeprefix("decoder."): v for k, v in ours.state_dict().items() if k.startswith("decoder.")}
    )
    tokens, motion = torch.randn(2, 15, 128), torch.randn(2, C)
    memory = ours.memory_proj(torch.cat([tokens, ours.motion_proj(motion)[:, None].expand(-1, 15, -1)], -1))
    expected = ours.pose_head(theirs(ours.joint_queries.expand(2, -1, -1), memory))
    torch.testing.assert_close(ours(tokens, motion), expected)


@pytest.mark.parametrize(
    ("switches", "silent"),
    [({"use_motion": False}, "motion"), ({"use_tokens": False}, "tokens"), ({"use_cross_attention": False}, None)],
)
def test_ablations(switches, silent):
    decoder = DecoderGraph(**switches).eval()
    tokens, motion = torch.randn(2, 15, 128), torch.randn(2, C)
    base = decoder(tokens, motion)
    assert base.shape == (2, 15, 3)
    for name, changed in (
        ("tokens", decoder(tokens + 1 * torch.randn_like(tokens), motion)),
        ("motion", decoder(tokens, motion + torch.randn_like(motion))),
    ):
        assert torch.equal(base, changed) == (name == silent)
    with pytest.raises(ValueError, match="cannot both be off"):
        NetworkSpec(use_tokens=False, use_motion=False)


def test_identity_tells_whose_a_token_is():
    """The paper's memory is a set: the order of its tokens changes nothing. With identities it does."""
    tokens, motion = torch.randn(2, 15, 128), torch.randn(2, C)
    shuffled = tokens[:, torch.randperm(15)]
    for use_identity in (False, True):
        decoder = DecoderGraph(use_identity=use_identity).eval()
        same = torch.allclose(decoder(tokens, motion), decoder(shuffled, motion), atol=1e-5)
        assert same != use_identity


def test_whole_network_trains():
    """Gradients reach every tensor that the forward pass of training uses."""
    with torch.enable_grad():
        network = build_network(NetworkSpec(window=4))
        joints, heatmaps = network(
            torch.randint(0, 256, (1, 4, 256, 256, 3), dtype=torch.uint8), torch.ones(1, 4, dtype=torch.bool)
        )
        (joints.square().mean() + heatmaps.mean()).backward()
        unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert joints.shape == (1, 4, 15, 3) and heatmaps.shape == (1, 4, 15, 64, 64)
    assert unused == []


def test_block_scales_start_small():
    assert Block().scale_attention.max().item() == pytest.approx(1e-4)
