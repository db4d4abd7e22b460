"""The peer in PyTorch: the step written the ordinary way, with timm's vision transformer.

    python pytorch_peer.py make-weights FOLDER    writes both backbones, random, in timm's naming, without a head
    python pytorch_peer.py serve FOLDER           answers requests, one JSON object a line, on stdin and stdout

FOLDER holds what all contestants share: backbones, starting values and the batch (see problem.ts).
"""

import contextlib
import json
import os
import resource
import sys
import time

import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import Block
from torch import nn

ARCHITECTURES = {"student": "vit_base_patch16_224", "teacher": "vit_small_patch16_224"}
TEMPERATURE = 5


class Adapter(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.linear2(F.gelu(self.linear1(x)))


class SequentialBlock(Block):
    def __init__(self, dim, num_heads, **options):
        super().__init__(dim, num_heads, **options)
        self.adapter = Adapter(dim, hidden=4)

    def forward(self, x, **options):
        y = super().forward(x, **options)
        return y + self.adapter(y)


class ParallelBlock(Block):
    def __init__(self, dim, num_heads, **options):
        super().__init__(dim, num_heads, **options)
        self.adapter = Adapter(dim, hidden=4)

    def forward(self, x, **options):
        u = x + self.attn(self.norm1(x))
        return u + self.mlp(self.norm2(u)) + 0.1 * self.adapter(u)


BLOCKS = {"sequential": SequentialBlock, "parallel": ParallelBlock}


def make_weights(folder):
    for role, architecture in ARCHITECTURES.items():
        torch.manual_seed(0)
        model = timm.create_model(architecture, num_classes=0)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:  # timm starts norms and biases at 1 and 0, which would hide a mix-up
                    parameter.add_(0.02 * torch.randn_like(parameter))
        heads = str(model.blocks[0].attn.num_heads)
        tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        path = os.path.join(folder, f"{role}.safetensors")
        save_file(tensors, path + ".partial", metadata={"num_heads": heads})
        os.replace(path + ".partial", path)


class Pair(nn.Module):
    """Student and teacher with their adapters; only these and the heads are trained."""

    def __init__(self, folder, adapter):
        super().__init__()
        for role, architecture in ARCHITECTURES.items():
            trained = load_file(os.path.join(folder, f"{role}.{adapter}.safetensors"))
            classes = trained["head.bias"].shape[0]
            model = timm.create_model(architecture, num_classes=classes, block_fn=BLOCKS[adapter])
            model.load_state_dict(load_file(os.path.join(folder, f"{role}.safetensors")) | trained)
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name in trained)
            self.add_module(role, model)

    def forward(self, images, labels):
        student, teacher = self.student(images), self.teacher(images)
        losses = {
            "student": F.cross_entropy(student, labels),
            "teacher": F.cross_entropy(teacher, labels),
            "distill": F.kl_div(
                F.log_softmax(student / TEMPERATURE, -1), F.softmax(teacher / TEMPERATURE, -1), reduction="batchmean"
            ),
        }
        return {**losses, "total": sum(losses.values())}


class Server:
    def __init__(self, folder):
        self.folder = folder
        self.batch = load_file(os.path.join(folder, "batch.safetensors"))
        self.pairs = {}
        self.compiled = {}

    def pair(self, adapter):
        if adapter not in self.pairs:
            self.pairs[adapter] = Pair(self.folder, adapter)
        return self.pairs[adapter]

    def program(self, adapter, mode, part):
        """The pair's step, or its student alone, as it is or compiled for each shape it meets."""
        module = self.pair(adapter)
        module = module.student if part == "forward" else module
        if not mode.startswith("compile"):
            return module
        key = (adapter, part, mode)
        if key not in self.compiled:
            self.compiled[key] = torch.compile(module, dynamic=False)
        return self.compiled[key]

    def images(self, batch):
        return self.batch["images"][:batch], self.batch["labels"][:batch]

    def losses_and_gradients(self, adapter, mode, batch):
        pair = self.pair(adapter)
        for parameter in pair.parameters():
            parameter.grad = None
        with autocast(mode):
            losses = self.program(adapter, mode, "step")(*self.images(batch))
        losses["total"].backward()
        return {name: loss.item() for name, loss in losses.items()}

    def forward(self, adapter, mode, batch):
        with torch.no_grad(), autocast(mode):
            return self.program(adapter, mode, "forward")(self.images(batch)[0])

    def seconds(self, adapter, mode, batch, part, threads, repeat):
        torch.set_num_threads(threads)
        run = self.forward if part == "forward" else self.losses_and_gradients
        start = time.perf_counter()
        for _ in range(repeat):
            run(adapter, mode, batch)
        return {"seconds": time.perf_counter() - start}

    def check(self, adapter, mode, batch):
        """The losses; every gradient goes into a file, named as `student.blocks.3.adapter.linear1.weight`."""
        losses = self.losses_and_gradients(adapter, mode, batch)
        gradients = {n: p.grad.contiguous() for n, p in self.pair(adapter).named_parameters() if p.requires_grad}
        path = os.path.join(self.folder, f"gradients.{mode}.safetensors")
        save_file(gradients, path)
        return {"losses": losses, "gradients": path}

    def peak(self):
        return {"peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def autocast(mode):
    return torch.autocast("cpu", torch.bfloat16) if mode.endswith("bfloat16") else contextlib.nullcontext()


def serve(folder):
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # compilers started by torch.compile may write to stdout, which belongs to the replies
    server = Server(folder)
    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "timm": timm.__version__}
    replies.write(json.dumps({"versions": versions, "bfloat16": torch.ops.mkldnn._is_mkldnn_bf16_supported()}) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(server, request.pop("task"))(**request)
        except Exception as error:  # the asking side decides what a failure means
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    action, folder = sys.argv[1:]
    {"make-weights": make_weights, "serve": serve}[action](folder)
