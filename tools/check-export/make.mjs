/**
 * Writes every method on a ViT and a Swin as it is exported, with images and the logits that idat's engine gives for them.
 *
 * node tools/check-export/make.mjs FOLDER
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imagesShape } from '../../dist/backbones/architecture.js';
import { encodeModel } from '../../dist/graph/onnx-proto.js';
import { constant } from '../../dist/graph/ops/constant.js';
import { size } from '../../dist/graph/tensor.js';
import { METHODS } from '../../dist/methods/index.js';
import { onnxGraph } from '../../dist/onnx/onnx-graph.js';
import { withPixelInput } from '../../dist/onnx/pixel-input.js';
import { randomStream } from '../../dist/random.js';
import { withRuntime } from '../../dist/runtime/node/start.js';
import { buildForward } from '../../dist/step/forward.js';

const [folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });

const CLASSES = 5;
const shared = { imageSize: 32, channels: 3, qkvBias: true };
const configs = [
  { ...shared, family: 'vit', patchSize: 4, width: 64, depth: 4, heads: 2, mlpWidth: 256, layerNormEps: 1e-6 },
  {
    ...shared,
    family: 'swin',
    patchSize: 2,
    embedWidth: 32,
    depths: [2, 2],
    heads: [1, 2],
    windowSize: 4,
    mlpRatio: 4,
    layerNormEps: 1e-5,
  },
];

/** As weights are: the smaller, the more of them are added up. */
function random(name, shape) {
  const stream = randomStream(1, 'weights', name);
  const factor = shape.length > 1 ? Math.sqrt(3 / size(shape.slice(1))) : 1;
  return Float32Array.from({ length: size(shape) }, () => factor * (2 * stream.uniform() - 1));
}

function modelOf(config, method) {
  const weights = {
    has: () => true,
    values: random,
    constant: (name, shape) => constant(shape, random(name, shape)),
  };
  const backbone = {
    name: config.family,
    config,
    weights,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    path: '',
    sha256: '',
  };
  return { backbone, method, methodOptions: {}, classes: CLASSES, dropPath: 0 };
}

const bytesOf = ({ buffer }) => new Uint8Array(buffer);
const cases = [];

await withRuntime({ device: 'cpu', threads: 1 }, async (runtime) => {
  for (const config of configs) {
    for (const { name: method } of METHODS.filter(({ families }) => families.includes(config.family))) {
      const model = modelOf(config, method);
      const { layout } = buildForward({ model, batch: 1 });
      const noise = random('parameters', [layout.size]);
      const parameters = layout.initial(1, 'student').map((value, i) => value + 0.1 * noise[i]);
      const tuned = { layout, parameters };
      const name = `${config.family}-${method}`;
      writeFileSync(join(folder, `${name}.parameters`), bytesOf(parameters));
      const batches = [];
      for (const batch of [1, 3]) {
        const shape = imagesShape(config, batch);
        const images = random(`images ${batch}`, shape);
        const session = await runtime.load((sink) => buildForward({ model, batch, sink }).program);
        const { logits } = await session.run({ images, parameters });
        await session.close();
        writeFileSync(join(folder, `${name}.images.${batch}`), bytesOf(images));
        batches.push({ shape, images: `${name}.images.${batch}`, logits: [...logits] });
      }
      const write = (kind, graph, more = {}) => {
        const file = `${name}.${kind}.onnx`;
        writeFileSync(join(folder, file), encodeModel(graph));
        cases.push({ method, family: config.family, kind, file, batches, ...more });
      };
      write('inside', onnxGraph(model, { tuned, int8: false }));
      write('input', onnxGraph(model, { tuned: null, int8: false }), { parameters: `${name}.parameters` });
      write('int8', onnxGraph(model, { tuned, int8: true }));
      const { mean, std } = model.backbone;
      const pixels = withPixelInput(onnxGraph(model, { tuned, int8: false }), 'pixel_values', {
        mean,
        std,
        imageSize: 32,
      });
      write('pixels', pixels, { batches: [] });
    }
  }
});
writeFileSync(join(folder, 'cases.json'), JSON.stringify(cases));
