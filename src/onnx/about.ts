/** What an exported file says of itself, checked: it may come from a stranger. */
import { IdatError, printable } from '../errors.js';
import { type ImageSize, imageSizeOf } from '../image-size.js';
import { FAMILIARITY_SHARES, type Familiarities } from '../statistics/energy.js';
import { EXPORT_FORMAT, FEATURES, LOGITS, PROBABILITIES } from './names.js';
import { readOnnxMetadata } from './read-metadata.js';

/** Names and shapes of an adapter's tensors, in the order of its numbers. */
export type Layout = readonly { readonly name: string; readonly shape: readonly number[] }[];

/** What an adapter was trained on and how: others that agree in it can take its place. */
export interface AdapterShape {
  readonly backboneSha256: string;
  readonly method: string;
  /** As JSON, with nothing left out. */
  readonly methodOptions: string;
  readonly layout: Layout;
}

/** What a classifier knows besides numbers. */
export interface Knowledge {
  readonly classes: readonly string[];
  /** Null for runs and exports of versions that did not tell. */
  readonly familiarities: Familiarities | null;
}

/** What an exported model is. */
export interface AboutExport {
  /** Name of the input that takes images. */
  readonly input: string;
  /** Whether it takes whole numbers from 0 to 255, of any size, or normalised ones of its own. */
  readonly takesPixels: boolean;
  readonly hasFeatures: boolean;
  readonly imageSize: ImageSize;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Whether photographs are turned as their EXIF tag says. */
  readonly orient: boolean;
  readonly precision: string;
  readonly backbone: string;
  /** Null where what was trained is an input. */
  readonly knowledge: Knowledge | null;
  /** Of the adapters that fit; null where they are no input. */
  readonly shape: AdapterShape | null;
}

type Metadata = ReadonlyMap<string, string>;

/**
 * @param name what messages call the file
 * @throws IdatError `onnx.format` for what is no ONNX model, `onnx.foreign` for one that idat did not export, or in another
 *   version's form; `onnx.metadata` where what it says makes no sense
 */
export function aboutExport(bytes: Uint8Array, name: string): AboutExport {
  const metadata = readOnnxMetadata(bytes, name);
  const format = metadata.get('format');
  if (format !== EXPORT_FORMAT) {
    const what =
      format === undefined
        ? 'is an ONNX model that idat did not export, so that its classes and pixels are not known'
        : `is of the format ${printable(format)}, of another version of idat than this (${EXPORT_FORMAT})`;
    throw new IdatError('onnx.foreign', `${name}: ${what}; export the run again`);
  }
  const sizes = numbersOf(metadata, 'image_size', name);
  const [mean, std] = [numbersOf(metadata, 'mean', name), numbersOf(metadata, 'std', name)];
  const whole = sizes.length === 2 && sizes.every((n) => Number.isInteger(n) && n > 0 && n <= MAX_SIDE);
  if (!whole) throw wrong(name, 'image_size', 'height and width in pixels');
  if (mean.length !== 3 || std.length !== 3 || !std.every((s) => s > 0)) throw wrong(name, 'std', 'three numbers each');
  const [sentence, outputs] = [textOf(metadata, 'input', name), metadata.get('outputs')];
  const adapterInput = !metadata.has('classes');
  return {
    input: sentence.replace(/:.*$/s, ''),
    takesPixels: (metadata.get('resize') ?? (/bytes from 0 to 255/.test(sentence) ? 'graph' : 'caller')) === 'graph',
    // files of versions that did not tell have these two
    hasFeatures: (outputs ?? JSON.stringify([LOGITS, PROBABILITIES])).includes(`"${FEATURES}"`),
    imageSize: imageSizeOf(sizes[0]!, sizes[1]!),
    mean,
    std,
    orient: metadata.get('orientation') !== 'none',
    precision: textOf(metadata, 'precision', name),
    backbone: textOf(metadata, 'backbone', name),
    knowledge: adapterInput ? null : knowledgeIn(metadata, name),
    shape: adapterInput ? shapeIn(metadata, textOf(metadata, 'backbone_sha256', name), name) : null,
  };
}

/** Larger ones are no model's, and would be reserved before anybody could complain. */
const MAX_SIDE = 4096;
const MAX_CLASSES = 100_000;

/** @throws IdatError `onnx.metadata` */
export function knowledgeIn(metadata: Metadata, name: string): Knowledge {
  const classes = jsonOf(metadata, 'classes', name);
  if (!Array.isArray(classes) || classes.length === 0 || !classes.every((one) => typeof one === 'string')) {
    throw wrong(name, 'classes', 'a list of names');
  }
  if (!metadata.has('familiarities')) return { classes, familiarities: null };
  const { quantiles, trainedOn } = (jsonOf(metadata, 'familiarities', name) ?? {}) as Record<string, unknown>;
  if (!isNumbers(quantiles) || quantiles.length !== FAMILIARITY_SHARES.length) {
    throw wrong(name, 'familiarities', 'nine numbers');
  }
  return { classes, familiarities: { quantiles, trainedOn: trainedOn === true } };
}

/** @throws IdatError `onnx.metadata` */
export function shapeIn(metadata: Metadata, backboneSha256: string, name: string): AdapterShape {
  if (!metadata.has('layout')) {
    const what = 'was exported by a version of idat that did not say what an adapter’s numbers are';
    throw new IdatError('onnx.metadata', `${name}: ${what}; export the run again`);
  }
  const layout = jsonOf(metadata, 'layout', name);
  const isSlot = (slot: unknown) =>
    Array.isArray(slot) && typeof slot[0] === 'string' && slot.slice(1).every((n) => Number.isInteger(n) && n > 0);
  if (!Array.isArray(layout) || !layout.every(isSlot)) throw wrong(name, 'layout', 'names and sizes');
  const names = new Set(layout.map(([slot]) => slot));
  const [, classes = 0] = layout.find(([slot]) => slot === 'head.weight') ?? [];
  if (names.size < layout.length || classes > MAX_CLASSES) throw wrong(name, 'layout', 'names and sizes');
  return {
    backboneSha256,
    method: textOf(metadata, 'method', name),
    methodOptions: textOf(metadata, 'method_options', name),
    layout: (layout as [string, ...number[]][]).map(([slot, ...shape]) => ({ name: slot, shape })),
  };
}

/** @throws IdatError `onnx.metadata` */
export function textOf(metadata: Metadata, key: string, name: string): string {
  const text = metadata.get(key);
  if (text === undefined) throw wrong(name, key, 'a text');
  return text;
}

function jsonOf(metadata: Metadata, key: string, name: string): unknown {
  try {
    return JSON.parse(textOf(metadata, key, name));
  } catch {
    throw wrong(name, key, 'JSON');
  }
}

function numbersOf(metadata: Metadata, key: string, name: string): number[] {
  const value = jsonOf(metadata, key, name);
  if (isNumbers(value)) return value;
  throw wrong(name, key, 'a list of numbers');
}

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => typeof n === 'number' && Number.isFinite(n));

const wrong = (name: string, key: string, expected: string): IdatError =>
  new IdatError(
    'onnx.metadata',
    `${name}: its metadata’s ${key} is missing or damaged, ${expected} expected; export it again`,
  );
