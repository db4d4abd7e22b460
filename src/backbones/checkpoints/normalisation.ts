/** Mean and deviation of a checkpoint's images, wherever and however they are written. */
import { IdatError, printable } from '../../errors.js';
import type { Normalisation } from '../backbone.js';
import { Colour } from './colour.js';
import type { Companions } from './companions.js';
import type { TensorFile } from './naming.js';

export type NormalisationFacts = Partial<Normalisation>;

/**
 * What a file says of its images: its own notes first, then the preprocessor, timm's config, and what all published
 * weights of its kind were trained with.
 *
 * @throws IdatError `backbone.normalisation` for what is there and cannot be read
 */
export function normalisationOf(
  { path, metadata }: TensorFile,
  companions: Companions,
  published: NormalisationFacts = {},
): NormalisationFacts {
  const sources = [
    ofMetadata(path, metadata),
    ofPreprocessor(companions),
    { mean: companions.timm?.pretrained_cfg?.mean, std: companions.timm?.pretrained_cfg?.std },
    { mean: companions.timm?.mean, std: companions.timm?.std },
    published,
  ];
  const [mean, std] = (['mean', 'std'] as const).map((field) => sources.map((s) => s[field]).find((v) => v));
  return { ...inUnits(mean, std) };
}

/** No mean of numbers from 0 to 1 is above 1: then they count a byte's steps. */
function inUnits(mean?: readonly number[], std?: readonly number[]): NormalisationFacts {
  const unit = mean?.some((value) => value > 1) ? 255 : 1;
  const inUnit = (values: readonly number[]) => (unit === 1 ? values : values.map((value) => value / unit));
  return { ...(mean && { mean: inUnit(mean) }), ...(std && { std: inUnit(std) }) };
}

interface Found {
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
}

const FIELDS = {
  mean: ['mean', 'image_mean', 'pixel_mean'],
  std: ['std', 'image_std', 'pixel_std'],
} as const;

/** Fields of their own, or within timm's `pretrained_cfg` as JSON. */
function ofMetadata(path: string, metadata: Readonly<Record<string, string>>): Found {
  const within = parsed(metadata.pretrained_cfg);
  const find = (which: keyof typeof FIELDS): readonly number[] | undefined => {
    const name = FIELDS[which].find((field) => Object.hasOwn(metadata, field));
    if (name !== undefined) return numbersIn(path, name, metadata[name]!);
    const value = Colour.safeParse(within?.[which]);
    return value.success ? value.data : undefined;
  };
  return { mean: find('mean'), std: find('std') };
}

function parsed(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `0.5,0.5,0.5`, `[0.5, 0.5, 0.5]`, `(0.5 0.5 0.5)`, `tensor([0.5, …])`, `0.5` */
function numbersIn(path: string, field: string, text: string): readonly number[] {
  const bare = text.replace(/^[^\d.+-]*/, '').replace(/[^\d.]*$/, '');
  const list = bare.split(/[\s,;]+/).map((part) => (part === '' ? Number.NaN : Number(part)));
  const colour = list.length === 1 ? [list[0]!, list[0]!, list[0]!] : list;
  if (colour.length === 3 && colour.every(Number.isFinite)) return colour;
  throw new IdatError(
    'backbone.normalisation',
    `${path}: its metadata says ${field} is '${printable(text.slice(0, 100))}', where idat reads three numbers such as 0.5,0.5,0.5; correct it`,
  );
}

/** Mean and deviation a preprocessor names. @throws IdatError `backbone.config` for one that does not divide by 255 */
function ofPreprocessor({ configPath, preprocessor }: Companions): Found {
  if (!preprocessor) return {};
  const { do_normalize = true, do_rescale = true, rescale_factor = 1 / 255, image_mean, image_std } = preprocessor;
  if (!do_rescale || Math.abs(rescale_factor * 255 - 1) > 1e-6) {
    throw new IdatError(
      'backbone.config',
      `${configPath.replace(/[^\\/]*$/, 'preprocessor_config.json')}: pixels are not divided by 255, as idat does; remove the file and convert the weights, or choose another model`,
    );
  }
  return do_normalize ? { mean: image_mean, std: image_std } : { mean: [0, 0, 0], std: [1, 1, 1] };
}

export const IMAGENET: Normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
