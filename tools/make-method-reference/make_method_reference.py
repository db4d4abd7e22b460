"""Logits and gradients of tuning methods on a small ViT, from PyTorch in float64. See README.md."""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

DIM, DEPTH, HEADS, HIDDEN, IMAGE, PATCH, CLASSES, BATCH = 12, 2, 3, 20, 8, 4, 5, 3
TOKENS = (IMAGE // PATCH) ** 2 + 1
generator = torch.Generator().manual_seed(11)


def random(*shape, std=0.3, mean=0.0):
    """Random numbers that float32 holds exactly, in float64."""
    return (mean + std * torch.randn(*shape, generator=generator)).float().double()


def backbone():
    """A ViT's tensors by timm's names."""
    w = {
        "cls_token": random(1, 1, DIM),
        "pos_embed": random(1, TOKENS, DIM),
        "patch_embed.proj.weight": random(DIM, 3, PATCH, PATCH, std=0.15),
        "patch_embed.proj.bias": random(DIM),
        "norm.weight": random(DIM, mean=1.0),
        "norm.bias": random(DIM),
    }
    for i in range(DEPTH):
        b = f"blocks.{i}."
        for norm in ("norm1", "norm2"):
            w[b + norm + ".weight"] = random(DIM, mean=1.0)
            w[b + norm + ".bias"] = random(DIM)
        for layer, rows, columns in (
            ("attn.qkv", 3 * DIM, DIM),
            ("attn.proj", DIM, DIM),
            ("mlp.fc1", HIDDEN, DIM),
            ("mlp.fc2", DIM, HIDDEN),
        ):
            w[b + layer + ".weight"] = random(rows, columns)
            w[b + layer + ".bias"] = random(rows)
    return w


class Plain:
    """A method that changes nothing; the others replace what they change. t holds the tuned tensors."""

    def tensors(self):
        return {}

    def trained(self, name):
        return False

    def out(self, layer, y, t):
        """Behind a layer of that name."""
        return y

    def qkv(self, i, y, x, t):
        return y

    def before(self, i, site, x, t):
        """What attention or the MLP reads."""
        return x

    def after(self, i, u, y, t):
        """Behind the second residual sum."""
        return y


def forward(images, w, head, method, t):
    def layer(name, x):
        return method.out(name, F.linear(x, w[name + ".weight"], w[name + ".bias"]), t)

    def norm(name, x):
        return method.out(name, F.layer_norm(x, (DIM,), w[name + ".weight"], w[name + ".bias"], 1e-6), t)

    x = F.conv2d(images, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=PATCH)
    x = method.out("patch_embed.proj", x.flatten(2).transpose(1, 2), t)
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x], 1) + w["pos_embed"]
    for i in range(DEPTH):
        b = f"blocks.{i}."
        n = method.before(i, "attention", norm(b + "norm1", x), t)
        qkv = method.qkv(i, layer(b + "attn.qkv", n), n, t)
        q, k, v = qkv.reshape(len(x), TOKENS, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1)) * (DIM // HEADS) ** -0.5
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(len(x), TOKENS, DIM)
        u = x + layer(b + "attn.proj", mixed)
        n = method.before(i, "mlp", norm(b + "norm2", u), t)
        x = method.after(i, u, u + layer(b + "mlp.fc2", F.gelu(layer(b + "mlp.fc1", n))), t)
    x = norm("norm", x)[:, 0]
    return F.linear(x, head["head.weight"], head["head.bias"])


class LoraQV(Plain):
    scale = 0.7

    def tensors(self):
        return {
            f"blocks.{i}.lora.{part}.{m}": random(*((2, DIM) if m == "a" else (DIM, 2)))
            for i in range(DEPTH) for part in ("query", "value") for m in "ab"
        }

    def qkv(self, i, y, x, t):
        q, k, v = y.chunk(3, -1)
        delta = lambda part: self.scale * (t[f"blocks.{i}.lora.{part}.b"] @ (t[f"blocks.{i}.lora.{part}.a"] @ x.mT)).mT
        return torch.cat([q + delta("query"), k, v + delta("value")], -1)


class LoraQKV(Plain):
    def tensors(self):
        return {
            f"blocks.{i}.lora.qkv.{m}": random(*((2, DIM) if m == "a" else (3 * DIM, 2)))
            for i in range(DEPTH) for m in "ab"
        }

    def qkv(self, i, y, x, t):
        return y + x @ (t[f"blocks.{i}.lora.qkv.b"] @ t[f"blocks.{i}.lora.qkv.a"]).T


class Ssf(Plain):
    widths = {"norm1": DIM, "attn.qkv": 3 * DIM, "attn.proj": DIM, "norm2": DIM, "mlp.fc1": HIDDEN, "mlp.fc2": DIM}

    def tensors(self):
        sites = {"patch_embed.proj": DIM, "norm": DIM}
        sites.update({f"blocks.{i}.{name}": n for i in range(DEPTH) for name, n in self.widths.items()})
        found = {}
        for site, n in sites.items():
            found[site + ".ssf.scale"] = random(n, mean=1.0)
            found[site + ".ssf.shift"] = random(n)
        return found

    def out(self, layer, y, t):
        return t[layer + ".ssf.scale"] * y + t[layer + ".ssf.shift"]


class Arc(Plain):
    def __init__(self, sites):
        self.sites = sites

    def tensors(self):
        found = {}
        for site in self.sites:
            found[f"stages.0.arc.{site}.projection"] = random(DIM, 4)
            for i in range(DEPTH):
                found[f"blocks.{i}.arc.{site}.factors"] = random(1, 4)
                found[f"blocks.{i}.arc.{site}.bias"] = random(DIM)
        return found

    def before(self, i, site, x, t):
        if site not in self.sites:
            return x
        D = t[f"stages.0.arc.{site}.projection"]
        c = t[f"blocks.{i}.arc.{site}.factors"][0]
        return x + torch.einsum("btd,dr,r,er->bte", x, D, c, D) + t[f"blocks.{i}.arc.{site}.bias"]


class RepAdapter(Plain):
    h, groups, scale = 6, 3, 0.5

    def tensors(self):
        found = {}
        for i in range(DEPTH):
            for site in ("attention", "mlp"):
                name = f"blocks.{i}.repadapter.{site}."
                found[name + "down.weight"] = random(self.h, DIM)
                found[name + "down.bias"] = random(self.h)
                found[name + "up.weight"] = random(DIM, self.h // self.groups)
                found[name + "up.bias"] = random(DIM)
        return found

    def before(self, i, site, x, t):
        name = f"blocks.{i}.repadapter.{site}."
        z = F.conv1d(x.transpose(1, 2), t[name + "down.weight"][..., None], t[name + "down.bias"])
        z = F.conv1d(z, t[name + "up.weight"][..., None], t[name + "up.bias"], groups=self.groups)
        return x + self.scale * z.transpose(1, 2)


class AdaptFormer(Plain):
    h, scale = 4, 0.1

    def tensors(self):
        found = {}
        for i in range(DEPTH):
            name = f"blocks.{i}.adapter."
            found[name + "linear1.weight"] = random(self.h, DIM)
            found[name + "linear1.bias"] = random(self.h)
            found[name + "linear2.weight"] = random(DIM, self.h)
            found[name + "linear2.bias"] = random(DIM)
        return found

    def after(self, i, u, y, t):
        name = f"blocks.{i}.adapter."
        z = F.relu(F.linear(u, t[name + "linear1.weight"], t[name + "linear1.bias"]))
        return y + self.scale * F.linear(z, t[name + "linear2.weight"], t[name + "linear2.bias"])


class BitFit(Plain):
    def trained(self, name):
        return "bias" in name


CASES = {
    "lora-qv": LoraQV(),
    "lora-qkv": LoraQKV(),
    "ssf": Ssf(),
    "arc": Arc(("attention", "mlp")),
    "arc-attention": Arc(("attention",)),
    "repadapter": RepAdapter(),
    "adaptformer": AdaptFormer(),
    "bitfit": BitFit(),
}


def main(path):
    w = backbone()
    images = random(BATCH, 3, IMAGE, IMAGE, std=1.0)
    head = {"head.weight": random(CLASSES, DIM), "head.bias": random(CLASSES)}
    labels = torch.tensor([0, 3, 1])
    stored = {"images": images, **{"frozen/" + name: value for name, value in w.items()}, **head}
    for case, method in CASES.items():
        t = {name: value.requires_grad_() for name, value in method.tensors().items()}
        own = {n: v.clone().requires_grad_() if method.trained(n) else v for n, v in w.items()}
        top = {name: value.clone().requires_grad_() for name, value in head.items()}
        logits = forward(images, own, top, method, t)
        F.cross_entropy(logits, labels).backward()
        stored[f"{case}/logits"] = logits.detach()
        trained = {**t, **top, **{n: v for n, v in own.items() if v.requires_grad}}
        for name, value in trained.items():
            if name in t:
                stored[f"{case}/tuned/{name}"] = value.detach()
            stored[f"{case}/gradient/{name}"] = value.grad
    arrays = {name: np.ascontiguousarray(value.numpy().astype(np.float32)) for name, value in stored.items()}
    save_file(arrays, path, metadata={"torch": torch.__version__})


if __name__ == "__main__":
    main(sys.argv[1])
