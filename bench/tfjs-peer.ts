/**
 * The peer in TensorFlow.js on its WebAssembly backend: ViT-B/16 and ViT-S/16 with parallel adapters, written by hand in
 * its ops. It has no module for transformers in this setting, and its backend runs on one thread in Node.
 *
 *     node tfjs-peer.js FOLDER
 */

import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import '@tensorflow/tfjs'; // registers the gradients, which the core leaves out
import { setWasmPaths, version_wasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { writeFileAtomic } from '../src/files/node/atomic-write.js';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import { encodeSafetensors } from '../src/files/safetensors.js';
import { serve } from './contestant.js';
import { backbonePath, CLASSES, IMAGE_LENGTH, ROLES, type RoleName, readBatch } from './problem.js';

type Tensors = Record<string, tf.Tensor>;

const SIZES = { student: { width: 768, heads: 12 }, teacher: { width: 384, heads: 6 } } as const;
const [DEPTH, PATCH, GRID] = [12, 16, 14];
const TEMPERATURE = 5;
const folder = process.argv[2]!;

/** The shape as tfjs wants it for a reshape of any rank. */
const shaped = (x: tf.Tensor, ...shape: number[]) => tf.reshape(x, shape);

/**
 * a [m, k] · b [k, n]. The backend has a fast kernel only for two plain matrices: with a transpose flag, or with more
 * than one matrix, it takes one ten times slower. So transposes are made first, here and in the gradient.
 */
const matmul = tf.customGrad((...inputs) => {
  const [a, b, save] = inputs as unknown as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
  save([a, b]);
  const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
    const [x, y] = saved as [tf.Tensor, tf.Tensor];
    return [tf.matMul(dy, tf.transpose(y)), tf.matMul(tf.transpose(x), dy)];
  };
  return { value: tf.matMul(a, b), gradFunc };
});

/** The same with a frozen weight [n, k]: no gradient of its own is computed for it. */
function matmulFrozen(a: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  return tf.customGrad((x) => ({
    value: tf.matMul(x as tf.Tensor, tf.transpose(weight)),
    gradFunc: (dy: tf.Tensor) => tf.matMul(dy, weight),
  }))(a);
}

/** The same for each pair of two lists of matrices, [n, m, k]·[n, k, p]. */
function productOfEach(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const right = tf.unstack(b);
  return tf.stack(tf.unstack(a).map((matrix, i) => matmul(matrix, right[i]!)));
}

function linear(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const rows = shaped(x, -1, x.shape.at(-1)!);
  const y = frozenTensors.has(weight) ? matmulFrozen(rows, weight) : matmul(rows, tf.transpose(weight));
  return shaped(tf.add(y, bias), ...x.shape.slice(0, -1), weight.shape[0]!);
}

function layerNorm(x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor): tf.Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, 1e-6))), gain), shift);
}

const gelu = (x: tf.Tensor) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));

function attention(x: tf.Tensor, w: Tensors, name: string, heads: number): tf.Tensor {
  const [B, T, D] = x.shape as [number, number, number];
  const qkv = linear(x, w[`${name}.qkv.weight`]!, w[`${name}.qkv.bias`]!);
  const perHead = (t: tf.Tensor, order: number[], ...matrix: number[]) =>
    shaped(tf.transpose(shaped(t, B, T, heads, D / heads), order), B * heads, ...matrix);
  const [q, k, v] = tf.split(qkv, 3, -1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const queries = tf.mul(perHead(q, [0, 2, 1, 3], T, D / heads), (D / heads) ** -0.5);
  const scores = productOfEach(queries, perHead(k, [0, 2, 3, 1], D / heads, T));
  const attended = productOfEach(tf.softmax(scores), perHead(v, [0, 2, 1, 3], T, D / heads));
  const joined = shaped(tf.transpose(shaped(attended, B, heads, T, D / heads), [0, 2, 1, 3]), B, T, D);
  return linear(joined, w[`${name}.proj.weight`]!, w[`${name}.proj.bias`]!);
}

/** images [B, 3, 224, 224] -> logits [B, K] */
function forward(images: tf.Tensor, w: Tensors, role: RoleName): tf.Tensor {
  const { width, heads } = SIZES[role];
  const B = images.shape[0]!;
  const dense = (x: tf.Tensor, name: string) => linear(x, w[`${name}.weight`]!, w[`${name}.bias`]!);
  const norm = (x: tf.Tensor, name: string) => layerNorm(x, w[`${name}.weight`]!, w[`${name}.bias`]!);
  const patches = tf.transpose(shaped(images, B, 3, GRID, PATCH, GRID, PATCH), [0, 2, 4, 1, 3, 5]);
  const kernel = w['patch_embed.proj.weight']!;
  const embedded = linear(shaped(patches, B, GRID * GRID, 3 * PATCH * PATCH), kernel, w['patch_embed.proj.bias']!);
  let x: tf.Tensor = tf.add(tf.concat([tf.tile(w.cls_token!, [B, 1, 1]), embedded], 1), w.pos_embed!);
  for (let i = 0; i < DEPTH; i++) {
    const name = `blocks.${i}`;
    const u = tf.add(x, attention(norm(x, `${name}.norm1`), w, `${name}.attn`, heads));
    const mlp = dense(gelu(dense(norm(u, `${name}.norm2`), `${name}.mlp.fc1`)), `${name}.mlp.fc2`);
    const adapter = dense(gelu(dense(u, `${name}.adapter.linear1`)), `${name}.adapter.linear2`);
    x = tf.add(tf.add(u, mlp), tf.mul(adapter, 0.1));
  }
  const classToken = shaped(tf.slice(norm(x, 'norm'), [0, 0, 0], [B, 1, width]), B, width);
  return dense(classToken, 'head');
}

function losses(student: tf.Tensor, teacher: tf.Tensor, labels: tf.Tensor) {
  const B = labels.shape[0]!;
  const target = tf.oneHot(tf.cast(labels, 'int32'), CLASSES);
  const crossEntropy = (logits: tf.Tensor) => tf.div(tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), target))), B);
  const lnP = tf.logSoftmax(tf.div(teacher, TEMPERATURE));
  const lnQ = tf.logSoftmax(tf.div(student, TEMPERATURE));
  const own = { student: crossEntropy(student), teacher: crossEntropy(teacher) };
  const distill = tf.div(tf.sum(tf.mul(tf.exp(lnP), tf.sub(lnP, lnQ))), B);
  return { ...own, distill, total: tf.add(tf.add(own.student, own.teacher), distill) };
}

async function readTensors(path: string): Promise<Tensors> {
  const file = await openSafetensors(path);
  try {
    const tensors: Tensors = {};
    for (const { name, shape } of file.file.tensors.values()) {
      const isKernel = shape.length === 4; // the patch embedding's, [D, 3, 16, 16], used as a matrix
      tensors[name] = tf.tensor(await file.readFloat32(name), isKernel ? [shape[0]!, 3 * PATCH * PATCH] : shape);
    }
    return tensors;
  } finally {
    await file.close();
  }
}

const packages = createRequire(import.meta.url);
setWasmPaths(dirname(packages.resolve('@tensorflow/tfjs-backend-wasm')) + sep);
await tf.setBackend('wasm');
await tf.ready();
const frozen: Record<RoleName, Tensors> = {
  student: await readTensors(backbonePath(folder, 'student')),
  teacher: await readTensors(backbonePath(folder, 'teacher')),
};
const frozenTensors = new Set(ROLES.flatMap((role) => Object.values(frozen[role])));
const trained: Record<RoleName, Tensors> = {
  student: await readTensors(join(folder, 'student.parallel.safetensors')),
  teacher: await readTensors(join(folder, 'teacher.parallel.safetensors')),
};
const all = await readBatch(folder);
const images = (count: number) => tf.tensor(all.images.slice(0, count * IMAGE_LENGTH), [count, 3, 224, 224]);
const labels = (count: number) => tf.tensor(Int32Array.from(all.labels.slice(0, count), Number), [count], 'int32');

async function logits(): Promise<object> {
  const values = tf.tidy(() => forward(images(1), { ...frozen.student, ...trained.student }, 'student'));
  const data = await values.data();
  values.dispose();
  return { logits: [...data] };
}

/** Losses and the gradient of every trained tensor of the first `count` images. */
async function step(count: number) {
  const names = ROLES.flatMap((role) => Object.keys(trained[role]).map((name) => ({ role, name })));
  const parts: Record<string, tf.Tensor> = {};
  const total = (...values: tf.Tensor[]) => {
    const w: Record<RoleName, Tensors> = { student: { ...frozen.student }, teacher: { ...frozen.teacher } };
    names.forEach(({ role, name }, i) => {
      w[role][name] = values[i]!;
    });
    const pixels = images(count);
    const found = losses(forward(pixels, w.student, 'student'), forward(pixels, w.teacher, 'teacher'), labels(count));
    for (const [name, loss] of Object.entries(found)) parts[name] = tf.keep(loss);
    return found.total as tf.Scalar;
  };
  const { grads } = tf.valueAndGrads(total)(names.map(({ role, name }) => trained[role][name]!));
  const lossValues: Record<string, number> = {};
  for (const [name, loss] of Object.entries(parts)) lossValues[name] = (await loss.data())[0]!;
  const gradients = await Promise.all(
    grads.map(async (gradient, i) => ({
      name: `${names[i]!.role}.${names[i]!.name}`,
      shape: gradient.shape,
      data: (await gradient.data()) as Float32Array,
    })),
  );
  tf.dispose([...Object.values(parts), ...grads]);
  return { losses: lossValues, gradients };
}

async function check({ batch }: { batch: number }): Promise<object> {
  const found = await step(batch);
  const path = join(folder, 'gradients.tfjs.safetensors');
  await writeFileAtomic(path, encodeSafetensors(found.gradients));
  return { losses: found.losses, gradients: path };
}

async function seconds({ part, count }: { part: 'step' | 'forward'; count: number }): Promise<object> {
  const started = performance.now();
  for (let image = 0; image < count; image++) await (part === 'step' ? step(1) : logits());
  return { seconds: (performance.now() - started) / 1000 };
}

const [ROWS, FROM, TO, REPEAT] = [788, 768, 3072, 5];

async function product(): Promise<object> {
  const a = tf.randomNormal([ROWS, FROM]);
  const b = tf.randomNormal([FROM, TO]);
  const started = performance.now();
  for (let i = 0; i < REPEAT; i++) tf.matMul(a, b).dispose();
  const perProduct = (performance.now() - started) / REPEAT;
  tf.dispose([a, b]);
  return { gigaflopsPerSecond: (2 * ROWS * FROM * TO) / perProduct / 1e6 };
}

await serve(
  { versions: { tfjs: tf.version_core, tfjsBackendWasm: version_wasm } },
  { logits, check, seconds, product },
);
