/** Adapters that take each other's place over one base: what a run has trained, with its head and its classes. */
import { IdatError, printable } from '../errors.js';
import { safetensorsIn } from '../files/safetensors-reader.js';
import { type AdapterShape, type Knowledge, knowledgeIn, type Layout, shapeIn, textOf } from '../onnx/about.js';
import { PARAMETERS } from '../onnx/names.js';

/** An adapter in memory, ready to be used over every base that it fits. */
export interface Adapter extends Knowledge {
  /** What messages call it. */
  readonly name: string;
  readonly backboneSha256: string;
  readonly method: string;
  readonly methodOptions: string;
  /** What was trained, head included, by name. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>;
}

export const isAdapter = (given: unknown): given is Adapter =>
  typeof given === 'object' && given !== null && (given as Partial<Adapter>).tensors instanceof Map;

/**
 * The adapter of a file that `idat export` wrote beside its base.
 * @param name what messages call it
 * @throws IdatError `classifier.adapter` for another file; `onnx.metadata`, and as `safetensorsIn`
 */
export async function adapterIn(bytes: Uint8Array, name: string): Promise<Adapter> {
  const { file, readFloat32 } = safetensorsIn(bytes, name);
  const metadata = new Map(Object.entries(file.metadata));
  if (!metadata.has('for_backbone_sha256') || !file.tensors.has(PARAMETERS)) {
    const what = 'is no adapter that idat exported beside its base';
    throw new IdatError('classifier.adapter', `${name}: ${what}; give adapter.safetensors of an export, or a run`);
  }
  const { layout, ...shape } = shapeIn(metadata, textOf(metadata, 'for_backbone_sha256', name), name);
  const numbers = await readFloat32(PARAMETERS);
  const tensors = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  let at = 0;
  for (const { name: tensor, shape: sizes } of layout) {
    const size = sizeOf(sizes);
    tensors.set(tensor, { shape: sizes, values: numbers.subarray(at, at + size) });
    at += size;
  }
  if (at !== numbers.length) {
    const what = `has ${numbers.length} numbers where its metadata tell of ${at}`;
    throw new IdatError('classifier.adapter', `${name}: ${what}; copy or export it again`);
  }
  return { name, ...shape, ...knowledgeIn(metadata, name), tensors };
}

/** A linear layer that is computed beside the model, as the model's own has another number of classes. */
export interface Head {
  /** [classes, width] */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** What a classifier answers with. */
export interface InUse extends Knowledge {
  /** For the model's input; null where what was trained is part of it. */
  readonly parameters: Float32Array | null;
  /** Null where the model's own head has as many classes. */
  readonly head: Head | null;
}

const [WEIGHT, BIAS] = ['head.weight', 'head.bias'] as const;

/**
 * An adapter's numbers, laid out for a base.
 * @throws IdatError `classifier.adapter` when it is another backbone's, or of another method, options or blocks
 */
export function fitAdapter(base: AdapterShape, adapter: Adapter): InUse {
  const refuse = (what: string, advice: string) =>
    new IdatError('classifier.adapter', `${adapter.name}: ${what}; ${advice}`);
  if (adapter.backboneSha256 !== base.backboneSha256) {
    const what = `this adapter is of another backbone (sha256 ${short(adapter.backboneSha256)}, here ${short(base.backboneSha256)})`;
    throw refuse(what, 'open a classifier of that one');
  }
  const ways = [adapter, base].map(({ method, methodOptions }) => `${printable(method)} ${printable(methodOptions)}`);
  if (ways[0] !== ways[1]) {
    throw refuse(`this adapter was tuned by ${ways[0]}, the model here by ${ways[1]}`, 'open a classifier of its own');
  }
  const { tensors, classes, familiarities } = adapter;
  const [weight, bias] = [tensors.get(WEIGHT), tensors.get(BIAS)];
  const width = widthOf(base.layout);
  if (weight?.shape.join() !== `${classes.length},${width}` || bias?.values.length !== classes.length) {
    throw refuse(
      `its head does not fit its ${classes.length} classes and ${width} features`,
      'copy or export it again',
    );
  }
  const expected = new Map([...tensors].map(([name, { shape }]) => [name, shape]));
  expected.set(WEIGHT, [classesOf(base.layout), width]).set(BIAS, [classesOf(base.layout)]);
  // before anything is reserved for what the base says of itself
  for (const { name, shape } of base.layout) {
    const found = expected.get(name);
    if (found?.join() === shape.join()) continue;
    const has = found ? `has the shape [${found}]` : 'is missing';
    throw refuse(
      `its tensor ${printable(name)} ${has}, [${shape}] expected`,
      'an adapter fits a base of the same blocks and options',
    );
  }
  const foreign = [...tensors.keys()].find((name) => !base.layout.some((slot) => slot.name === name));
  if (foreign !== undefined) {
    throw refuse(
      `its tensor ${printable(foreign)} has no place in the model`,
      'an adapter fits a base of the same blocks and options',
    );
  }
  const parameters = new Float32Array(base.layout.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
  const ownHead = classesOf(base.layout) === classes.length;
  let at = 0;
  for (const { name, shape } of base.layout) {
    const isHead = name === WEIGHT || name === BIAS;
    if (!isHead || ownHead) parameters.set(tensors.get(name)!.values, at);
    at += sizeOf(shape);
  }
  const head = ownHead ? null : { weight: weight!.values, bias: bias!.values };
  return { classes, familiarities, parameters, head };
}

/** head.weight · features + head.bias */
export function throughHead({ weight, bias }: Head, features: Float32Array): Float32Array {
  const width = features.length;
  return bias.map((start, k) => {
    let sum = start;
    for (let i = 0; i < width; i++) sum += weight[k * width + i]! * features[i]!;
    return sum;
  });
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const headOf = (layout: Layout): readonly number[] => layout.find(({ name }) => name === WEIGHT)?.shape ?? [0, 0];
/** Of a base's own head. */
export const classesOf = (layout: Layout): number => headOf(layout)[0]!;
const widthOf = (layout: Layout): number => headOf(layout)[1]!;
const short = (sha256: string): string => printable(sha256.slice(0, 12));
