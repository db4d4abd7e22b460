/** Logits and gradients of the tuning methods against PyTorch's, which tools/make-method-reference computes. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Backbone, ViTConfig } from '../src/backbones/backbone.js';
import { type OpenSafetensors, openSafetensors } from '../src/files/node/safetensors-file.js';
import { constant } from '../src/graph/ops/index.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { buildTrainStep } from '../src/step/train-step.js';

const config: ViTConfig = {
  family: 'vit',
  imageSize: 8,
  patchSize: 4,
  channels: 3,
  width: 12,
  depth: 2,
  heads: 3,
  mlpWidth: 20,
  qkvBias: true,
  layerNormEps: 1e-6,
};
const [BATCH, CLASSES] = [3, 5];

let file: OpenSafetensors;
let runtime: Runtime;
const stored = new Map<string, Float32Array>();
beforeAll(async () => {
  file = await openSafetensors(fileURLToPath(new URL('./fixtures/method-reference.safetensors', import.meta.url)));
  for (const name of file.file.tensors.keys()) stored.set(name, await file.readFloat32(name));
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(async () => {
  await runtime.close();
  await file.close();
});

it.each([
  ['lora-qv', 'lora', { rank: 2, scale: 0.7 }],
  ['lora-qkv', 'lora', { rank: 2, targets: 'qkv' }],
  ['ssf', 'ssf', {}],
  ['arc', 'arc', { rank: 4 }],
  ['arc-attention', 'arc', { rank: 4, targets: 'attention' }],
  ['repadapter', 'repadapter', { hidden: 6, groups: 3, scale: 0.5 }],
  ['adaptformer', 'parallel', { hidden: 4, init: 'adaptformer' }],
  ['bitfit', 'bitfit', {}],
])('%s has the logits and gradients of PyTorch', async (name, method, options) => {
  const numbers = (tensor: string) => stored.get(`frozen/${tensor}`)!;
  const backbone: Backbone = {
    ...{ name: '', config, mean: [0.5], std: [0.5], path: '', sha256: '' },
    weights: { has: () => true, values: numbers, constant: (tensor, shape) => constant(shape, numbers(tensor)) },
  };
  const student = { backbone, method, methodOptions: { ...options, dropout: 0 }, classes: CLASSES, dropPath: 0 };
  const step = buildTrainStep({ student, teacher: null, distillation: null, microBatch: BATCH });
  const parameters = new Float32Array(step.student.size);
  for (const slot of step.student.slots) {
    const own = stored.get(`${name}/tuned/${slot.name}`) ?? stored.get(slot.name) ?? stored.get(`frozen/${slot.name}`);
    parameters.set(own!, slot.offset);
  }
  const session = await runtime.load(() => step.program);
  const found = await session.run({
    'student.images': stored.get('images')!,
    'student.parameters': parameters,
    labels: BigInt64Array.of(0n, 3n, 1n),
    weights: new Float32Array(BATCH).fill(1 / BATCH),
  });
  expectNear(found['student.logits']!, stored.get(`${name}/logits`)!, 1e-5, 'logits');
  const largest = Math.max(
    ...step.student.slots.flatMap((slot) => [...stored.get(`${name}/gradient/${slot.name}`)!.map(Math.abs)]),
  );
  for (const { name: tensor, offset, size } of step.student.slots) {
    const expected = stored.get(`${name}/gradient/${tensor}`)!;
    // an entry whose gradient vanishes, as attention's key bias, is rounding: it is held against the tensor's largest
    expectNear(found['student.gradient']!.subarray(offset, offset + size), expected, 2e-5, tensor, 1e-3 * largest);
  }
  const gradients = [...stored.keys()].filter((key) => key.startsWith(`${name}/gradient/`));
  expect(step.student.slots).toHaveLength(gradients.length);
});

/** The largest difference, relative to the largest number. */
function expectNear(found: Float32Array, expected: Float32Array, bound: number, what: string, floor = 0) {
  const top = expected.reduce((most, value) => Math.max(most, Math.abs(value)), floor);
  const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
  expect(worst / top, what).toBeLessThan(bound);
}
