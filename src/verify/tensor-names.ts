/** The section `tensor_names`: what idat asks of a checkpoint is what published ones hold. */
import { tensorShapes } from '../backbones/architecture.js';
import { knownBackbone } from '../backbones/registry.js';
import { storedSwinName } from '../backbones/swin-checkpoint.js';
import { formatShape, type Shape } from '../graph/tensor.js';
import { broken, tensorNamesSchema } from './directory.js';
import type { Replay } from './replay.js';

const FOLDER = 'tensor_names';

/** Made anew by the model, whatever a file says. */
const isBuffer = (name: string) => /\.(attn_mask|relative_position_index)$/.test(name);

export async function replayTensorNames({ directory, report, absent }: Omit<Replay, 'runtime'>): Promise<void> {
  const files = await directory.list(FOLDER);
  if (files.length === 0) return absent(FOLDER);
  for (const file of files) {
    const json = await directory.json(`${FOLDER}/${file}`, tensorNamesSchema);
    const { model, ...layouts } = json!;
    const config = knownBackbone(model)?.config;
    if (!config) throw broken(`${FOLDER}/${file}: idat knows no model ${model}`);
    for (const [layout, tensors] of Object.entries(layouts)) {
      const published = new Map(Object.entries(tensors ?? {}).filter(([name]) => !isBuffer(name)));
      const shapes = new Map([...published].map(([name, shape]) => [name, { shape }]));
      const stored = config.family === 'swin' ? storedSwinName(shapes) : (name: string) => name;
      const asked = new Map([...tensorShapes(config)].map(([name, shape]) => [stored(name), shape]));
      const { head, rest } = withoutHead(published);
      const differing = differences(asked, rest);
      if (head.length !== 2) differing.push(`${head.length} tensors of a head`);
      report('tensor names: differing from the published', `${model}, ${layout}`, {
        value: differing.length,
        at: differing[0] ?? '',
      });
    }
  }
}

/** A head has a weight and a bias, and is not asked for: each run trains its own. */
function withoutHead(tensors: ReadonlyMap<string, Shape>) {
  const isHead = (name: string) => name.startsWith('head.');
  const names = [...tensors.keys()];
  return { head: names.filter(isHead), rest: new Map([...tensors].filter(([name]) => !isHead(name))) };
}

/** The names that only one side has, or with another shape. */
function differences(asked: ReadonlyMap<string, Shape>, published: ReadonlyMap<string, Shape>): string[] {
  const text = (shape: Shape | undefined) => (shape ? formatShape(shape) : 'none');
  return [...new Set([...asked.keys(), ...published.keys()])]
    .filter((name) => text(asked.get(name)) !== text(published.get(name)))
    .map((name) => `${name} asked ${text(asked.get(name))}, published ${text(published.get(name))}`);
}
