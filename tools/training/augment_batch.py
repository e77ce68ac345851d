"""The changes of looks of ``augment``, for whole batches where the network is: a GPU's frames need no processor.

Same names, order, probabilities and ranges. Every change takes and gives RGB float [N, 3, S, S] in 0..255. What is
drawn comes from a NumPy generator, one draw per picture; only the grain of the noise is drawn on the device.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.nn import functional as F

from tools.training.augment import LOOKS, LUMA, motion_kernel

#: Quantisation tables of the JPEG standard (ITU T.81, Annex K), luminance and chrominance.
JPEG_TABLES = np.array(
    [
        [
            [16, 11, 10, 16, 24, 40, 51, 61],
            [12, 12, 14, 19, 26, 58, 60, 55],
            [14, 13, 16, 24, 40, 57, 69, 56],
            [14, 17, 22, 29, 51, 87, 80, 62],
            [18, 22, 37, 56, 68, 109, 103, 77],
            [24, 35, 55, 64, 81, 104, 113, 92],
            [49, 64, 78, 87, 103, 121, 120, 101],
            [72, 92, 95, 98, 112, 100, 103, 99],
        ],
        [
            [17, 18, 24, 47, 99, 99, 99, 99],
            [18, 21, 26, 66, 99, 99, 99, 99],
            [24, 26, 56, 99, 99, 99, 99, 99],
            [47, 66, 99, 99, 99, 99, 99, 99],
            *[[99] * 8] * 4,
        ],
    ]
)
#: RGB -> Y, Cb, Cr (ITU T.871), the latter two about 0.
YCC = np.array([LUMA, [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
#: Orthonormal discrete cosine transform of 8 samples.
DCT = np.array(
    [[np.sqrt((1 if k == 0 else 2) / 8) * np.cos((2 * n + 1) * k * np.pi / 16) for n in range(8)] for k in range(8)],
    np.float32,
)


def changed(images: torch.Tensor, rng: np.random.Generator, strength: float) -> torch.Tensor:
    """Other looks of a batch. strength: 0 (off) to 1, scales how likely each change is."""
    for probability, change in LOOKS:
        at = np.flatnonzero(rng.random(len(images)) < probability * strength)
        if len(at):
            where = on(images, at)
            images = images.index_copy(0, where, CHANGES[change.__name__](images[where], rng).clamp(0, 255))
    return images


def on(images: torch.Tensor, values: ArrayLike) -> torch.Tensor:
    """An array as a tensor beside the images: float32 [..], or int64 for integers."""
    values = np.asarray(values)
    tensor = torch.from_numpy(values.astype(np.int64 if values.dtype.kind in "iub" else np.float32))
    return tensor.to(images.device, non_blocking=True)


def each(images: torch.Tensor, values: ArrayLike) -> torch.Tensor:
    """One number per picture [N], or per channel [N, 3], ready to act on [N, 3, S, S]."""
    tensor = on(images, values)
    return tensor.reshape(*tensor.shape, *[1] * (4 - tensor.ndim))


def occlude(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One to four patches: a plain colour, or a piece of the same picture."""
    N, _, S, _ = images.shape
    row, column = torch.meshgrid(*[torch.arange(S, device=images.device)] * 2, indexing="ij")
    picture = torch.arange(N, device=images.device).reshape(N, 1, 1, 1)
    channel = torch.arange(3, device=images.device).reshape(1, 3, 1, 1)
    count = rng.integers(1, 5, N)
    for k in range(4):
        centre, axes = rng.integers(0, S, (N, 2)), np.maximum(rng.uniform(0.02, 0.16, (N, 2)) * S, 0.5)
        angle, is_box, is_plain = rng.uniform(0, np.pi, N), rng.random(N) < 0.5, rng.random(N) < 0.5
        plain = each(images, rng.integers(0, 256, (N, 3)).astype(float))
        shift = rng.integers(S // 4, 3 * S // 4, (N, 2))
        x, y = column - each(images, centre[:, 0]), row - each(images, centre[:, 1])
        c, s = each(images, np.cos(angle)), each(images, np.sin(angle))
        along, across = (c * x + s * y) / each(images, axes[:, 0]), (c * y - s * x) / each(images, axes[:, 1])
        box, ellipse = torch.maximum(along.abs(), across.abs()), along.square() + across.square()
        inside = torch.where(each(images, is_box) > 0, box, ellipse) <= 1
        far_row, far_column = (row + each(images, shift[:, 0])) % S, (column + each(images, shift[:, 1])) % S
        elsewhere = images[picture, channel, far_row, far_column]
        patch = torch.where(each(images, is_plain) > 0, plain, elsewhere)
        images = torch.where(inside & (each(images, k < count) > 0), patch, images)
    return images


def recolour(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Saturation, a cast between channels."""
    saturation = rng.uniform(0.3, 1.5, (len(images), 1, 1))
    matrix = (
        saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA, (3, 1)) + rng.normal(0, 0.06, (len(images), 3, 3))
    )
    return torch.einsum("nij,njhw->nihw", on(images, matrix), images)


def grey(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Grey."""
    return torch.einsum("j,njhw->nhw", on(images, LUMA), images).unsqueeze(1).expand_as(images)


def tone(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Exposure, contrast, gamma, black level and a gain per channel."""
    N = len(images)
    gain = np.exp(rng.normal(0, 0.3, (N, 1)) + rng.normal(0, 0.08, (N, 3)))
    gamma, contrast, black = np.exp(rng.normal(0, 0.3, N)), np.exp(rng.normal(0, 0.2, N)), rng.normal(0, 0.05, N)
    x = (images / 255 * each(images, gain)).clamp(0, 1) ** each(images, gamma)
    return 255 * ((x - 0.5) * each(images, contrast) + 0.5 + each(images, black))


def shade(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Light that falls off across the picture."""
    N, S = len(images), images.shape[-1]
    ramp = torch.linspace(-1, 1, S, device=images.device)
    angle, depth = rng.uniform(0, 2 * np.pi, N), rng.uniform(0.1, 0.6, N)
    across, down = each(images, depth * np.cos(angle)), each(images, depth * np.sin(angle))
    return images * (1 + across * ramp + down * ramp[:, None])


def blur(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Out of focus."""
    S = images.shape[-1]
    sigma = rng.uniform(0.3, 1.2, (len(images), 1)) * S / 128
    reach = np.arange(-round(3.6 * S / 128), round(3.6 * S / 128) + 1)
    profile = np.exp(-(reach**2) / (2 * sigma**2))
    profile /= profile.sum(1, keepdims=True)
    return filtered(filtered(images, profile[:, None, :]), profile[:, :, None])


def motion_blur(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Moved while exposed."""
    kernels = [motion_kernel(rng, images.shape[-1]) for _ in images]
    side = max(map(len, kernels))
    return filtered(images, np.stack([np.pad(kernel, (side - len(kernel)) // 2) for kernel in kernels]))


def filtered(images: torch.Tensor, kernels: np.ndarray) -> torch.Tensor:
    """Each picture with its own kernel [N, H, W]; borders are mirrored, as OpenCV does."""
    N, C, S, _ = images.shape
    height, width = kernels.shape[1:]
    padded = F.pad(images, (width // 2, width // 2, height // 2, height // 2), "reflect")
    weight = on(images, kernels).repeat_interleave(C, 0).unsqueeze(1)
    return F.conv2d(padded.reshape(1, N * C, *padded.shape[2:]), weight, groups=N * C).reshape(N, C, S, S)


def noise(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Grain, drawn on the device."""
    sigma = rng.uniform(1, 14, len(images))
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(1 << 62)))
    return images + each(images, sigma) * torch.randn(images.shape, generator=generator, device=images.device)


def coarsen(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One coarseness for all: pictures of one size are resized together."""
    S = images.shape[-1]
    small = F.interpolate(
        images, size=int(S / rng.uniform(1.2, 2.2)), mode="bilinear", antialias=True, align_corners=False
    )
    return F.interpolate(small, size=S, mode="bilinear", align_corners=False)


def compress(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """What a JPEG of some quality leaves, colour at half the resolution: quantised cosines of 8x8 blocks."""
    S = images.shape[-1]
    quality = rng.integers(25, 80, len(images))
    scale = np.where(quality < 50, 50 / quality, 2 - quality / 50)  # libjpeg's
    tables = np.clip(np.floor(JPEG_TABLES[None] * scale[:, None, None, None] + 0.5), 1, 255)
    ycc = torch.einsum("ij,njhw->nihw", on(images, YCC), images)
    light = quantised(ycc[:, :1] - 128, on(images, tables[:, :1])) + 128
    colour = F.interpolate(
        quantised(F.avg_pool2d(ycc[:, 1:], 2), on(images, tables[:, 1:])), size=S, mode="bilinear", align_corners=False
    )
    return torch.einsum("ij,njhw->nihw", on(images, np.linalg.inv(YCC)), torch.cat([light, colour], 1))


def quantised(planes: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Planes [N, C, S, S], S a multiple of 8, through cosines rounded to multiples of table [N, 1, 8, 8]."""
    dct = on(planes, DCT)
    blocks = planes.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-3, -2)  # [N, C, S/8, S/8, 8, 8]
    step = table[:, :, None, None]
    kept = torch.round(dct @ blocks @ dct.T / step) * step
    return (dct.T @ kept @ dct).transpose(-3, -2).flatten(-2).flatten(-3, -2)


CHANGES = {
    change.__name__: change
    for change in (occlude, shade, recolour, grey, tone, blur, motion_blur, coarsen, noise, compress)
}


def turned(images: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """Pictures uint8 [N, S, S, 3] turned about the optical axis: RGB float [N, 3, S, S], black where nothing was seen.

    back: [N, 2, 3], pixel centres of the result -> pixel centres of the picture.
    """
    S = images.shape[1]
    pixel = torch.arange(S, device=images.device, dtype=torch.float32)
    back = back[:, None, None]
    # sums, not a matrix product: a GPU's tensor cores would round places to an eighth of a pixel
    source = back[..., 0] * pixel[None, None, :, None] + back[..., 1] * pixel[None, :, None, None] + back[..., 2]
    return F.grid_sample(
        images.permute(0, 3, 1, 2).float(), (2 * source + 1) / S - 1, "bilinear", "zeros", align_corners=False
    )
