"""MASt3R and JOSH3R a second time: functions of a state dict, loops and written-out formulas, from the same description."""

import math

import torch
import torch.nn.functional as F


class Weights:
    """A state dict under a prefix."""

    def __init__(self, state, prefix=""):
        self.state, self.prefix = state, prefix

    def __getitem__(self, name):
        return self.state[self.prefix + name]

    def at(self, name):
        return Weights(self.state, f"{self.prefix}{name}.")

    def has(self, name):
        return self.prefix + name in self.state


def linear(w, x):
    return x @ w["weight"].T + (w["bias"] if w.has("bias") else 0)


def norm(w, x, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt() * w["weight"] + w["bias"]


def batch_norm(w, x):
    shape = (1, -1) + (1,) * (x.dim() - 2)
    mean, variance, scale, shift = (w[n].view(shape) for n in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def turned(x, positions):
    """(tokens, channels) turned: half of the channels by the row, half by the column, as complex numbers."""
    half, parts = x.shape[-1] // 2, []
    for axis in (0, 1):
        part = x[..., axis * half : (axis + 1) * half]
        real, imaginary = part[..., : half // 2], part[..., half // 2 :]
        rates = torch.tensor([100.0 ** (-2 * i / half) for i in range(half // 2)], dtype=x.dtype)
        angle = positions[:, axis : axis + 1].to(x.dtype) * rates
        product = torch.complex(real, imaginary) * torch.polar(torch.ones_like(angle), angle)
        parts += [product.real, product.imag]
    return torch.cat(parts, -1)


def attended(query, key, value, heads, query_at, key_at):
    """One sample; (tokens, width) each."""
    size, outputs = query.shape[1] // heads, []
    for head in range(heads):
        q, k, v = (part[:, head * size : (head + 1) * size] for part in (query, key, value))
        scores = turned(q, query_at) @ turned(k, key_at).T / math.sqrt(size)
        outputs.append(scores.softmax(-1) @ v)
    return torch.cat(outputs, -1)


def self_attention(w, x, heads, at):
    query, key, value = linear(w.at("qkv"), x).chunk(3, -1)
    return linear(w.at("proj"), attended(query, key, value, heads, at, at))


def mlp(w, x):
    return linear(w.at("fc2"), gelu(linear(w.at("fc1"), x)))


def encoder_block(w, x, heads, at):
    x = x + self_attention(w.at("attn"), norm(w.at("norm1"), x, 1e-6), heads, at)
    return x + mlp(w.at("mlp"), norm(w.at("norm2"), x, 1e-6))


def cross_block(w, x, other, heads, at, other_at, eps):
    x = x + self_attention(w.at("attn"), norm(w.at("norm1"), x, eps), heads, at)
    memory, cross = norm(w.at("norm_y"), other, eps), w.at("cross_attn")
    query = linear(cross.at("projq"), norm(w.at("norm2"), x, eps))
    key, value = linear(cross.at("projk"), memory), linear(cross.at("projv"), memory)
    x = x + linear(cross.at("proj"), attended(query, key, value, heads, at, other_at))
    return x + mlp(w.at("mlp"), norm(w.at("norm3"), x, eps))


def places(rows, columns):
    return torch.tensor([[y, x] for y in range(rows) for x in range(columns)])


def doubling(size, like):
    """Rows of weights: 2 n samples whose first and last are the first and last of n."""
    matrix = torch.zeros(2 * size, size, dtype=like.dtype)
    for i in range(2 * size):
        place = i * (size - 1) / (2 * size - 1)
        low = min(int(place), size - 1)
        matrix[i, low] += 1 - (place - low)
        matrix[i, min(low + 1, size - 1)] += place - low
    return matrix


def doubled(x):
    return doubling(x.shape[-2], x) @ x @ doubling(x.shape[-1], x).T


def conv(w, x, **options):
    return F.conv2d(x[None], w["weight"], w["bias"] if w.has("bias") else None, **options)[0]


def residual(w, x):
    return x + conv(w.at("conv2"), conv(w.at("conv1"), x.relu(), padding=1).relu(), padding=1)


def dpt(w, taps, rows, columns):
    maps = []
    for i, tap in enumerate(taps):
        post = w.at("act_postprocess").at(str(i))
        x = conv(post.at("0"), tap.T.reshape(-1, rows, columns))
        if i < 2:
            x = F.conv_transpose2d(x[None], post["1.weight"], post["1.bias"], stride=(4, 2)[i])[0]
        if i == 3:
            x = conv(post.at("1"), x, stride=2, padding=1)
        maps.append(conv(w.at(f"scratch.layer{i + 1}_rn"), x, padding=1))
    path = None
    for i in (3, 2, 1, 0):
        fusion = w.at(f"scratch.refinenet{i + 1}")
        if path is None:
            path = maps[i]
        else:
            path = path[:, : maps[i].shape[1], : maps[i].shape[2]] + residual(fusion.at("resConfUnit1"), maps[i])
        path = conv(fusion.at("out_conv"), doubled(residual(fusion.at("resConfUnit2"), path)))
    x = doubled(conv(w.at("head.0"), path, padding=1))
    return conv(w.at("head.4"), conv(w.at("head.2"), x, padding=1).relu())


def head(w, taps, rows, columns, patch):
    raw = dpt(w.at("dpt"), taps, rows, columns)
    length = raw[:3].norm(dim=0)
    local = mlp(w.at("head_local_features"), torch.cat([taps[0], taps[-1]], -1))
    channels = local.shape[1] // patch**2
    picture = local.view(rows, columns, channels, patch, patch).permute(2, 0, 3, 1, 4)
    picture = picture.reshape(channels, rows * patch, columns * patch)
    return {
        "pts3d": (raw[:3] / length * (length.exp() - 1)).permute(1, 2, 0),
        "conf": 1 + raw[3].exp(),
        "desc": (picture[:-1] / picture[:-1].norm(dim=0)).permute(1, 2, 0),
        "desc_conf": picture[-1].exp(),
    }


def mast3r(state, config, images):
    """One pair, (3, height, width) each."""
    w, patch = Weights(state), config.patch
    encoded, grids, ats = [], [], []
    for image in images:
        x = conv(w.at("patch_embed.proj"), image, stride=patch)
        grids.append(tuple(x.shape[1:]))
        ats.append(places(*grids[-1]))
        x = x.flatten(1).T
        for i in range(config.encoder_depth):
            x = encoder_block(w.at(f"enc_blocks.{i}"), x, config.encoder_heads, ats[-1])
        encoded.append(norm(w.at("enc_norm"), x, 1e-6))
    layers = [[linear(w.at("decoder_embed"), x)] for x in encoded]
    for i in range(config.decoder_depth):
        before = [layers[0][-1], layers[1][-1]]
        for side, name in enumerate(("dec_blocks", "dec_blocks2")):
            block = w.at(f"{name}.{i}")
            at = ats[side], ats[1 - side]
            layers[side].append(cross_block(block, before[side], before[1 - side], config.decoder_heads, *at, 1e-6))
    out = {}
    for side in (0, 1):
        last = norm(w.at("dec_norm"), layers[side][-1], 1e-6)
        depth = config.decoder_depth
        taps = [encoded[side], layers[side][depth // 2], layers[side][depth * 3 // 4], last]
        maps = head(w.at(f"downstream_head{side + 1}"), taps, *grids[side], patch)
        out |= {f"{name}_{side + 1}": value for name, value in maps.items()} | {f"tokens_{side + 1}": last}
    return out


def sample(maps, x, y):
    """Bilinear; x and y in pixels of the map with pixel centres at half integers, the border goes on outside."""
    rows, columns = maps.shape[1:]
    x, y = min(max(x - 0.5, 0), columns - 1), min(max(y - 0.5, 0), rows - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, columns - 1), min(top + 1, rows - 1)
    a, b = x - left, y - top
    upper = (1 - a) * maps[:, top, left] + a * maps[:, top, right]
    return (1 - b) * upper + b * ((1 - a) * maps[:, bottom, left] + a * maps[:, bottom, right])


def human_token(w, maps, box, image_size):
    rows, columns = maps.shape[1:]
    x1, y1, x2, y2 = (float(value) for value in box)
    samples = torch.zeros(maps.shape[0], 7, 7, dtype=maps.dtype)
    for i in range(7):
        for j in range(7):
            x, y = x1 + (x2 - x1) * j / 6, y1 + (y2 - y1) * i / 6
            samples[:, i, j] = sample(maps, x / image_size[1] * columns, y / image_size[0] * rows)
    x = samples[None]
    for i in (1, 2, 3):
        x = batch_norm(w.at(f"bn{i}"), conv(w.at(f"conv{i}"), x[0], padding=1)[None]).relu()
    return batch_norm(w.at("bn_fc1"), linear(w.at("fc1"), x.flatten(1)))[0]


def mlp_head(w, x):
    x = x[None]
    x = batch_norm(w.at("head_layers.0.1"), linear(w.at("head_layers.0.0"), x)).relu()
    for i in (1, 2):
        layer = w.at(f"head_layers.{i}.0")
        inner = batch_norm(layer.at("norm1"), linear(layer.at("linear1"), x)).relu()
        x = (x + batch_norm(layer.at("norm2"), linear(layer.at("linear2"), inner))).relu()
    return linear(w.at("head_layers.3"), x)[0]


def josh3r(state, config, tokens, boxes, image_size):
    """One person of one pair."""
    w = Weights(state)
    rows, columns = image_size[0] // config.patch, image_size[1] // config.patch
    at = torch.cat([places(rows, columns), torch.tensor([[-1, -1]])])
    joined = []
    for side in (0, 1):
        maps = tokens[side].T.reshape(-1, rows, columns)
        human = human_token(w.at(f"human_feat_extractor_{side + 1}"), maps, boxes[side], image_size)
        joined.append(torch.cat([tokens[side], human[None]]))
    seen = []
    for side in (0, 1):
        block = w.at(f"decoder_block_{side + 1}")
        x = cross_block(block, joined[side], joined[1 - side], config.heads, at, at, 1e-5)
        seen.append(norm(w.at("dec_norm"), x, 1e-5))
    people, scenes = [x[-1] for x in seen], [x[:-1].max(0).values for x in seen]
    whole = torch.cat([*people, *scenes])
    return {
        "rel_trans": mlp_head(w.at("rel_trans_head"), whole),
        "rel_rot6d": mlp_head(w.at("rel_rot_head"), whole),
        "trans_1": mlp_head(w.at("human_head_1"), people[0]),
        "trans_2": mlp_head(w.at("human_head_2"), people[1]),
        "scale_1": mlp_head(w.at("scene_head_1"), scenes[0]).exp(),
        "scale_2": mlp_head(w.at("scene_head_2"), scenes[1]).exp(),
    }
