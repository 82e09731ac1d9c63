"""MoGe-2 a second time, straight from the description: functions of a table of weights, loops, no modules.

Only the ViT's blocks are the package's own; `tests/plain_unish.py` has a second one of those.
"""

import math

import numpy as np
import torch
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, pad


def conv3(w, name, x):
    return conv2d(pad(x, (1, 1, 1, 1), mode="replicate"), w[f"{name}.weight"], w[f"{name}.bias"])


def conv1(w, name, x):
    return conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"])


def bilinear(x, height, width):
    """By hand, align_corners False, borders repeated: a gather along each axis."""
    for axis, size in ((2, height), (3, width)):
        old = x.shape[axis]
        at = ((torch.arange(size, dtype=x.dtype) + 0.5) * old / size - 0.5).clamp(min=0)
        low = at.floor().long().clamp(max=old - 1)
        high = (low + 1).clamp(max=old - 1)
        shape = [1, 1, 1, 1]
        shape[axis] = size
        share = (at - low).reshape(shape)
        x = x.index_select(axis, low) * (1 - share) + x.index_select(axis, high) * share
    return x


def stack(w, prefix, inputs, blocks):
    """Keys tell where there is a transposed convolution; `blocks` are the residual blocks per level."""
    x, out = None, []
    for level, given in enumerate(inputs):
        joined = conv1(w, f"{prefix}.input_blocks.{level}", given)
        x = joined if x is None else x + joined
        for block in range(blocks[level]):
            name = f"{prefix}.res_blocks.{level}.{block}.layers"
            x = x + conv3(w, f"{name}.5", torch.relu(conv3(w, f"{name}.2", torch.relu(x))))
        out.append(x)
        if level == len(inputs) - 1:
            break
        name = f"{prefix}.resamplers.{level}"
        if f"{name}.0.weight" in w:
            x = conv_transpose2d(x, w[f"{name}.0.weight"], w[f"{name}.0.bias"], stride=2)
        else:
            x = bilinear(x, 2 * x.shape[2], 2 * x.shape[3])
        x = conv3(w, f"{name}.1", x)
    return out


def plane(rows, columns, aspect, dtype):
    """(u, v) of every cell, one after the other."""
    out = torch.empty(2, rows, columns, dtype=dtype)
    for row in range(rows):
        for column in range(columns):
            out[0, row, column] = aspect / math.sqrt(1 + aspect**2) * (2 * (column + 0.5) / columns - 1)
            out[1, row, column] = 1 / math.sqrt(1 + aspect**2) * (2 * (row + 0.5) / rows - 1)
    return out


def forward(network, images, tokens):
    """Raw maps by the weights of `network`; points, mask, normals, metric scale."""
    w = {name: value.detach() for name, value in network.state_dict().items()}
    height, width = images.shape[-2:]
    aspect = width / height
    rows, columns = int(np.rint(math.sqrt(tokens / aspect))), int(np.rint(math.sqrt(tokens * aspect)))
    resized = interpolate(images, (14 * rows, 14 * columns), mode="bilinear", align_corners=False, antialias=True)
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    found = network.encoder.backbone.taps(((resized - mean) / std).to(images.dtype), network.config.taps)
    feature = torch.zeros(1, dtype=images.dtype)
    for index, tap in enumerate(found):
        grid = tap[:, 1:].reshape(len(images), rows, columns, -1).permute(0, 3, 1, 2)
        feature = feature + conv1(w, f"encoder.output_projections.{index}", grid)
    planes = [
        plane(rows * 2**level, columns * 2**level, aspect, images.dtype).expand(len(images), -1, -1, -1)
        for level in range(5)
    ]
    necks = stack(w, "neck", [torch.cat([feature, planes[0]], 1), *planes[1:]], network.config.neck.num_res_blocks)
    raw = {}
    for name in ("points", "mask", "normal"):
        last = stack(w, f"{name}_head", necks, (0, 1, 1, 1, 0))[-1]
        raw[name] = bilinear(conv1(w, f"{name}_head.output_blocks.4", last), height, width).permute(0, 2, 3, 1)
    token = found[-1][:, 0]
    for number in (0, 2, 4):
        token = token @ w[f"scale_head.{number}.weight"].T + w[f"scale_head.{number}.bias"]
        token = torch.relu(token) if number < 4 else token
    z = raw["points"][..., 2:].exp()
    return {
        "points": torch.cat([raw["points"][..., :2] * z, z], -1),
        "mask": 1 / (1 + torch.exp(-raw["mask"][..., 0])),
        "normals": raw["normal"] / raw["normal"].norm(dim=-1, keepdim=True),
        "metric_scale": token[:, 0].exp(),
    }
