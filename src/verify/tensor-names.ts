/** The section `tensor_names`: what idat asks of a checkpoint is what published ones hold. */
import { tensorShapes } from '../backbones/architecture.js';
import type { BackboneConfig } from '../backbones/backbone.js';
import { NO_COMPANIONS } from '../backbones/checkpoints/companions.js';
import { namingOf } from '../backbones/checkpoints/namings.js';
import type { StoredTensor } from '../backbones/checkpoints/stored-tensor.js';
import { knownBackbone } from '../backbones/known-backbones.js';
import { IdatError } from '../errors.js';
import { formatShape, type Shape } from '../graph/tensor.js';
import { broken, tensorNamesSchema } from './directory.js';
import type { Replay } from './replay.js';

const FOLDER = 'tensor_names';

export async function replayTensorNames({ directory, report, absent }: Omit<Replay, 'runtime'>): Promise<void> {
  const files = await directory.list(FOLDER);
  if (files.length === 0) return absent(FOLDER);
  for (const file of files) {
    const json = await directory.json(`${FOLDER}/${file}`, tensorNamesSchema);
    const { model, ...layouts } = json!;
    const config = knownBackbone(model)?.config;
    if (!config) throw broken(`${FOLDER}/${file}: idat knows no model ${model}`);
    for (const [layout, tensors] of Object.entries(layouts)) {
      const differing = differencesOf(config, `${FOLDER}/${file}, ${layout}`, tensors ?? {});
      report('tensor names: differing from the published', `${model}, ${layout}`, {
        value: differing.length,
        at: differing[0] ?? '',
      });
    }
  }
}

/** Translates a published list as if it were a file's, and holds what comes out against what a backbone asks for. */
function differencesOf(config: BackboneConfig, path: string, published: Readonly<Record<string, Shape>>): string[] {
  const tensors = new Map(Object.entries(published).map(([name, shape]) => [name, listed(name, shape)]));
  const file = { path, files: [], tensors, metadata: {} };
  try {
    const found = namingOf(file).translate(file, NO_COMPANIONS).tensors;
    const { head, rest } = withoutHead(new Map([...found].map(([name, { shape }]) => [name, shape])));
    const differing = differences(tensorShapes(config), rest);
    return head.length === 2 ? differing : [...differing, `${head.length} tensors of a head`];
  } catch (error) {
    if (error instanceof IdatError) return [error.message];
    throw error;
  }
}

/** A tensor of which name and shape are known alone. */
function listed(name: string, shape: Shape): StoredTensor {
  const load = () => {
    throw new Error(`${name} is only listed`);
  };
  return { name, shape, type: 'F32', isFloat: true, place: null, load };
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
