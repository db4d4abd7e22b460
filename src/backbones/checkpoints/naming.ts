/**
 * From the names of a file to idat's own, which are those of timm 0.6: a naming is a table, and this file applies it.
 */
import { IdatError, nearest, printable } from '../../errors.js';
import type { BackboneConfig } from '../backbone.js';
import type { Companions } from './companions.js';
import { joined, type StoredTensor } from './stored-tensor.js';

/** The tensors of a checkpoint as they lie there, whatever the format. */
export interface TensorFile {
  /** What messages call it. */
  readonly path: string;
  /** The files whose bytes the tensors are. */
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The writer's own notes: sizes that do not show in shapes. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a file holds, in idat's words. */
export interface Checkpoint {
  /** What messages call it. */
  readonly path: string;
  readonly files: readonly string[];
  readonly config: BackboneConfig;
  /** By idat's names; the head of the file's own classes too, where it has one. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Normalisation the file or its companions name. */
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
}

/** What of a checkpoint a naming tells: all but the files. */
export type Translation = Pick<Checkpoint, 'config' | 'tensors' | 'mean' | 'std'>;

/** One way to name a backbone's tensors; one file each. */
export interface Naming {
  /** For messages: "timm's naming of a ViT". */
  readonly title: string;
  /** Whether the names (without wrappers) are of this kind. */
  recognises(names: ReadonlyMap<string, unknown>): boolean;
  /** @throws IdatError when tensors are missing, unknown, or contradict each other or the companions */
  translate(file: TensorFile, companions: Companions): Translation;
}

/**
 * One tensor of ours and what files call it: `[ours, theirs, theirs in other versions …]`. A list stands for tensors
 * joined by rows. `#` is a number, `*` is weight or bias, alike on both sides; among the ignored `**` is anything.
 */
export type Row = readonly [ours: string, ...theirs: (string | readonly string[])[]];

export interface Table {
  readonly rows: readonly Row[];
  /** Tensors that take no part in what idat computes, in the same notation. */
  readonly ignored: readonly string[];
  /** What their tensor needs to be ours, given by our name; default: nothing. */
  readonly adapt?: (ours: string, tensor: StoredTensor) => StoredTensor;
}

/** How programs wrap whole models; what lies below is the model. */
const WRAPPERS = /^(?:(?:module|model|state_dict|_orig_mod)\.)+/;

/** The tensors by their names without wrappers. @throws IdatError when two names become one */
export function unwrapped(file: TensorFile): TensorFile {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of file.tensors) {
    const bare = name.replace(WRAPPERS, '');
    if (tensors.has(bare)) {
      throw new IdatError(
        'backbone.tensor',
        `${file.path}: holds ${printable(bare)} twice (also as ${printable(name)}); keep one of them`,
      );
    }
    tensors.set(bare, tensor);
  }
  return { ...file, tensors };
}

interface Pattern {
  readonly regExp: RegExp;
  /** null: the tensor is ignored. */
  readonly ours: string | null;
  /** Its place among those joined, and how many they are. */
  readonly part: number;
  readonly parts: number;
}

/**
 * Applies a table to a file's tensors.
 *
 * @param what the file should hold, for messages: "a plain ViT"
 * @throws IdatError `backbone.unknownTensor` when the file has tensors that would change what is computed, `backbone.tensor`
 *   when one of several to be joined is missing
 */
export function translated(
  file: Pick<TensorFile, 'path' | 'tensors'>,
  { rows, ignored, adapt = (_, tensor) => tensor }: Table,
  what: string,
): Map<string, StoredTensor> {
  const patterns = compile(rows, ignored);
  const found = new Map<string, (StoredTensor | undefined)[]>();
  const unknown: string[] = [];
  for (const [name, tensor] of file.tensors) {
    const match = matching(patterns, name);
    if (!match) unknown.push(name);
    if (!match || match.ours === null) continue;
    const parts = found.get(match.ours) ?? new Array(match.parts).fill(undefined);
    if (parts[match.part]) throw twice(file.path, match.ours, parts[match.part]!.name, printable(name));
    parts[match.part] = located(file.path, () => adapt(match.ours!, tensor));
    found.set(match.ours, parts);
  }
  if (unknown.length > 0) throw unknownTensors(file.path, unknown, what);
  return new Map([...found].map(([ours, parts]) => [ours, join(file.path, ours, parts)]));
}

function compile(rows: readonly Row[], ignored: readonly string[]): Pattern[] {
  const patterns: Pattern[] = ignored.map((name) => ({ regExp: toRegExp(name), ours: null, part: 0, parts: 1 }));
  for (const [ours, ...versions] of rows) {
    for (const version of versions) {
      const names = typeof version === 'string' ? [version] : version;
      names.forEach((name, part) => {
        patterns.push({ regExp: toRegExp(name), ours, part, parts: names.length });
      });
    }
  }
  return patterns;
}

const toRegExp = (name: string): RegExp =>
  new RegExp(
    `^${name
      .replace(/[.[\](){}+?^$|\\]/g, '\\$&')
      .replaceAll('#', '(0|[1-9]\\d{0,5})')
      .split('**')
      .map((part) => part.replaceAll('*', '(weight|bias)'))
      .join('.+')}$`,
  );

/** The first pattern that a name matches, with the numbers of the name put into ours. */
function matching(patterns: readonly Pattern[], name: string): Pattern | undefined {
  for (const pattern of patterns) {
    const match = pattern.regExp.exec(name);
    if (!match) continue;
    let next = 1;
    return { ...pattern, ours: pattern.ours?.replace(/[#*]/g, () => match[next++]!) ?? null };
  }
  return undefined;
}

function join(path: string, ours: string, parts: readonly (StoredTensor | undefined)[]): StoredTensor {
  const present = parts.filter((part) => part !== undefined);
  if (present.length < parts.length) {
    const names = present.map(({ name }) => name).join(', ');
    const what = `${ours} is made of ${parts.length} tensors and only ${names} ${present.length > 1 ? 'are' : 'is'} there`;
    throw new IdatError('backbone.tensor', `${path}: ${what}; the file is incomplete`);
  }
  return present.length === 1 ? present[0]! : located(path, () => joined(present));
}

/** Says of an error which file it is about. */
function located<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof IdatError)) throw error;
    throw new IdatError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}

function twice(path: string, ours: string, first: string, second: string): IdatError {
  return new IdatError('backbone.tensor', `${path}: both ${first} and ${second} are ${ours}; keep one of them`);
}

function unknownTensors(path: string, names: readonly string[], what: string): IdatError {
  const more = names.length > 1 ? ` (and ${names.length - 1} more)` : '';
  return new IdatError(
    'backbone.unknownTensor',
    `${path}: tensor ${printable(names[0]!)}${more} is no part of ${what}, so this is a model idat would compute wrongly; choose a plain one, or remove what does not belong to it`,
  );
}

/** A tensor that tells a size. @throws IdatError when it is missing or has another rank */
export function shapeOf(
  { path, tensors }: Pick<Checkpoint, 'path' | 'tensors'>,
  name: string,
  rank: number,
  title: string,
): readonly number[] {
  const found = tensors.get(name);
  if (found?.shape.length === rank) return found.shape;
  // Comparing names costs their lengths' product: a stranger's file must not make a message take minutes.
  const candidates = [...tensors.keys()].slice(0, 5000).filter((candidate) => candidate.length <= 200);
  const what = found
    ? `tensor ${found.name} has ${found.shape.length} axes, ${rank} were expected`
    : `tensor ${name} is missing (nearest: ${printable(nearest(name, candidates, 1)[0] ?? 'none')})`;
  throw new IdatError('backbone.tensor', `${path}: ${what}; by its names the file is in ${title}`);
}

/** How many of a numbered series there are, from 0 on. */
export function countOf(tensors: ReadonlyMap<string, unknown>, name: (index: number) => string): number {
  let count = 0;
  while (tensors.has(name(count))) count++;
  return count;
}
