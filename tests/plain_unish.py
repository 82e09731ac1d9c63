"""UniSH a second time, slowly and in plain formulas on a table of weights: the oracle of the networks' tests.

Nothing here is shared with the package. Attention is written out, rotations are complex numbers, the nearest rotation is
an SVD. Works in the type of the weights (the tests use float64).
"""

import torch
from torch.nn.functional import interpolate, layer_norm


class Weights:
    """A table of tensors seen from a prefix."""

    def __init__(self, table, prefix=""):
        self.table, self.prefix = table, prefix

    def __getitem__(self, name):
        return self.table[self.prefix + name]

    def at(self, prefix):
        return Weights(self.table, f"{self.prefix}{prefix}.")

    def has(self, name):
        return self.prefix + name in self.table

    def count(self, name):
        numbers = {key[len(self.prefix + name) + 1 :].split(".")[0] for key in self.table if self._is_in(key, name)}
        return len(numbers)

    def _is_in(self, key, name):
        return key.startswith(f"{self.prefix}{name}.")


def linear(w, x):
    y = x @ w["weight"].T
    return y + w["bias"] if w.has("bias") else y


def norm(w, x, eps):
    return layer_norm(x, (x.shape[-1],), w["weight"], w["bias"], eps)


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / 2**0.5))


def heads_of(x, heads):
    return x.reshape(*x.shape[:-1], heads, -1).transpose(-2, -3)


def attention(q, k, v, heads, turn_q=None, turn_k=None, norms=None):
    """(..., tokens, width) each; turns are unit complex numbers (tokens, channels / 2) in the order of `turned`."""
    q, k, v = (heads_of(x, heads) for x in (q, k, v))
    if norms is not None:
        q, k = norm(norms.at("q_norm"), q, 1e-5), norm(norms.at("k_norm"), k, 1e-5)
    if turn_q is not None:
        q, k = turned(q, turn_q), turned(k, turn_k)
    scores = torch.einsum("...id,...jd->...ij", q, k) / q.shape[-1] ** 0.5
    seen = torch.einsum("...ij,...jd->...id", scores.softmax(-1), v)
    return seen.transpose(-2, -3).flatten(-2)


def turned(x, turn):
    """`turn` is a list with one table per axis; each axis owns a contiguous share of the channels."""
    parts = []
    for share, unit in zip(x.chunk(len(turn), -1), turn, strict=True):
        real, imaginary = share.chunk(2, -1)
        z = torch.complex(real, imaginary) * unit
        parts += [z.real, z.imag]
    return torch.cat(parts, -1)


def units(positions, channels, dtype):
    """exp(i position 100^(-2k / channels)) for k below channels / 2."""
    frequencies = torch.tensor([100.0 ** (-2 * k / channels) for k in range(channels // 2)], dtype=dtype)
    angles = positions.to(dtype)[:, None] * frequencies
    return torch.complex(angles.cos(), angles.sin())


def block(w, x, heads, turn=None):
    q, k, v = linear(w.at("attn.qkv"), norm(w.at("norm1"), x, 1e-6)).chunk(3, -1)
    norms = w.at("attn") if w.has("attn.q_norm.weight") else None
    y = linear(w.at("attn.proj"), attention(q, k, v, heads, turn, turn, norms))
    x = x + (y * w["ls1.gamma"] if w.has("ls1.gamma") else y)
    y = linear(w.at("mlp.fc2"), gelu(linear(w.at("mlp.fc1"), norm(w.at("norm2"), x, 1e-6))))
    return x + (y * w["ls2.gamma"] if w.has("ls2.gamma") else y)


def patches_of(w, images, patch, padding=0):
    """Patch by patch, without a convolution."""
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    rows, columns = images.shape[-2] // patch, images.shape[-1] // patch
    found = []
    for i in range(rows):
        for j in range(columns):
            square = padded[:, :, i * patch : (i + 1) * patch, j * patch : (j + 1) * patch]
            found.append(torch.einsum("bcij,dcij->bd", square, w["weight"]) + w["bias"])
    return torch.stack(found, 1)


def dino(w, images, heads):
    rows, columns = images.shape[-2] // 14, images.shape[-1] // 14
    table = w["pos_embed"][0]
    side = round((len(table) - 1) ** 0.5)
    grid = table[1:].float().T.reshape(1, -1, side, side)
    grid = interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True).to(table.dtype)
    patches = patches_of(w.at("patch_embed.proj"), images, 14) + grid.flatten(2).mT
    first = (w["cls_token"] + table[0]).expand(len(images), -1, -1)
    registers = w["register_tokens"].expand(len(images), -1, -1)
    x = torch.cat([first, registers, patches], 1)
    for index in range(w.count("blocks")):
        x = block(w.at(f"blocks.{index}"), x, heads)
    return norm(w.at("norm"), x, 1e-6)[:, 1 + registers.shape[1] :]


def head_decoder(w, x, heads, turn):
    x = linear(w.at("projects"), x)
    for index in range(w.count("blocks")):
        x = block(w.at(f"blocks.{index}"), x, heads, turn)
    return linear(w.at("linear_out"), x)


def pixels(x, rows, columns, channels):
    """(frames, patches, channels * 196) to (frames, height, width, channels), pixel by pixel of a patch."""
    x = x.reshape(len(x), rows, columns, channels, 14, 14)
    return x.permute(0, 1, 4, 2, 5, 3).reshape(len(x), rows * 14, columns * 14, channels)


def camera(w, x):
    for unit in range(2):
        y = x
        for layer in (1, 2, 3):
            y = linear(w.at(f"res_conv.{unit}.res_conv{layer}"), y).clamp_min(0)
        x = x + y
    x = x.mean(1)
    for layer in (0, 2):
        x = linear(w.at(f"more_mlps.{layer}"), x).clamp_min(0)
    rows = linear(w.at("fc_rot"), x).reshape(-1, 3, 3)
    rows = rows / rows.norm(dim=-1, keepdim=True)
    u, _, vt = torch.linalg.svd(rows)
    u = u.clone()
    u[:, :, 2] *= torch.linalg.det(u @ vt)[:, None]
    T = torch.eye(4, dtype=x.dtype).repeat(len(x), 1, 1)
    T[:, :3, :3], T[:, :3, 3] = u @ vt, linear(w.at("fc_t"), x)
    return T


def pi3(w, images, heads):
    """One clip (frames, 3, height, width)."""
    frames, _, height, width = images.shape
    rows, columns = height // 14, width // 14
    x = dino(w.at("encoder"), (images - w["image_mean"]) / w["image_std"], heads)
    registers = w["register_token"][0].expand(frames, -1, -1)
    count = registers.shape[1]
    x = torch.cat([registers, x], 1)
    share = x.shape[-1] // heads // 2
    row = torch.tensor([0] * count + [i + 1 for i in range(rows) for _ in range(columns)])
    column = torch.tensor([0] * count + [j + 1 for _ in range(rows) for j in range(columns)])
    turn = [units(row, share, x.dtype), units(column, share, x.dtype)]
    everywhere = [unit.repeat(frames, 1) for unit in turn]
    outputs = []
    for index in range(w.count("decoder")):
        inside = index % 2 == 0
        seen = x if inside else x.reshape(1, -1, x.shape[-1])
        x = block(w.at(f"decoder.{index}"), seen, heads, turn if inside else everywhere).reshape(x.shape)
        outputs.append(x)
    hidden = torch.cat(outputs[-2:], -1)
    decoded = {
        name: head_decoder(w.at(f"{name}_decoder"), hidden, heads, turn)[:, count:]
        for name in ("point", "conf", "camera")
    }
    raw = pixels(linear(w.at("point_head.proj"), decoded["point"]), rows, columns, 3)
    z = raw[..., 2:].exp()
    return {
        "local_points": torch.cat([raw[..., :2] * z, z], -1),
        "conf": pixels(linear(w.at("conf_head.proj"), decoded["conf"]), rows, columns, 1),
        "T_world_camera": camera(w.at("camera_head"), decoded["camera"]),
        "hidden": hidden,
    }


def human(w, crops, bbox_info, heads, query_heads):
    """(frames, 3, 256, 256) to token, rotations, betas."""
    b = w.at("backbone")
    x = patches_of(b.at("patch_embed.proj"), crops[..., 32:224], 16, padding=2)
    x = x + b["pos_embed"][:, 1:] + b["pos_embed"][:, 0]
    for index in range(b.count("blocks")):
        x = block(b.at(f"blocks.{index}"), x, heads)
    context = norm(b.at("last_norm"), x, 1e-6)
    h = w.at("human_head")
    means = torch.cat([h["init_body_pose"], h["init_betas"], h["init_cam"]], -1).expand(len(crops), -1)
    query = linear(h.at("transformer.to_token_embedding"), torch.cat([bbox_info, means], -1))[:, None]
    query = query + h["transformer.pos_embedding"]
    for index in range(h.count("transformer.transformer.layers")):
        layer = h.at(f"transformer.transformer.layers.{index}")
        q, k, v = linear(layer.at("0.fn.to_qkv"), norm(layer.at("0.norm"), query, 1e-5)).chunk(3, -1)
        query = query + linear(layer.at("0.fn.to_out.0"), attention(q, k, v, query_heads))
        q = linear(layer.at("1.fn.to_q"), norm(layer.at("1.norm"), query, 1e-5))
        k, v = linear(layer.at("1.fn.to_kv"), context).chunk(2, -1)
        query = query + linear(layer.at("1.fn.to_out.0"), attention(q, k, v, query_heads))
        y = gelu(linear(layer.at("2.fn.net.0"), norm(layer.at("2.norm"), query, 1e-5)))
        query = query + linear(layer.at("2.fn.net.3"), y)
    token = query[:, 0]
    six = (h["init_body_pose"] + linear(h.at("decpose"), token)).reshape(-1, 24, 6)
    first = six[..., :3] / six[..., :3].norm(dim=-1, keepdim=True)
    second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first
    second = second / second.norm(dim=-1, keepdim=True)
    rotations = torch.stack([first, second, torch.cross(first, second, dim=-1)], -1)
    return token, rotations, h["init_betas"] + linear(h.at("decshape"), token)


def adapter(w, x):
    return linear(w.at("1"), norm(w.at("0"), x, 1e-5)).clamp_min(0)


def align(w, hidden, tokens, heads, positions, registers=5):
    """One clip: hidden (frames, tokens, channels), human tokens (frames, channels), positions of the frames."""
    per_frame = hidden.shape[1]
    scene = torch.cat(
        [
            adapter(w.at("register_feature_adapter"), hidden[:, :registers]),
            adapter(w.at("patch_feature_adapter"), hidden[:, registers:]),
        ],
        1,
    ).flatten(0, 1)
    queries = torch.cat([w["scale_token"][0], adapter(w.at("cam_feature_adapter"), tokens)])
    channels = queries.shape[-1] // heads
    at_query = [units(torch.cat([torch.zeros(1), positions]), channels, scene.dtype)]
    at_scene = [units(positions.repeat_interleave(per_frame), channels, scene.dtype)]
    for index in range(w.count("decoder_layers")):
        layer, x = w.at(f"decoder_layers.{index}"), queries
        q, k, v = (linear(layer.at(f"self_{name}_proj"), x) for name in "qkv")
        x = norm(
            layer.at("norm1"),
            x + linear(layer.at("self_out_proj"), attention(q, k, v, heads, at_query, at_query)),
            1e-5,
        )
        q = linear(layer.at("cross_q_proj"), x)
        k, v = linear(layer.at("cross_k_proj"), scene), linear(layer.at("cross_v_proj"), scene)
        seen = linear(layer.at("cross_out_proj"), attention(q, k, v, heads, at_query, at_scene))
        x = norm(layer.at("norm2"), x + seen, 1e-5)
        y = linear(layer.at("feed_forward.3"), linear(layer.at("feed_forward.0"), x).clamp_min(0))
        queries = queries + norm(layer.at("norm3"), x + y, 1e-5)
    raw = linear(w.at("trans_head"), queries[1:])
    z = raw[:, 2:].exp()
    scale = torch.log1p(linear(w.at("scale_head"), queries[0]).exp())
    return scale, torch.cat([raw[:, :2] * z, z], -1)
