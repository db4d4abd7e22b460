/** The tuning methods by name. */
import { z } from 'zod';
import { IdatError, nearest } from '../errors.js';
import { arc } from './arc.js';
import { bitfit } from './bitfit.js';
import { full } from './full.js';
import { linearProbe } from './linear.js';
import { lora } from './lora.js';
import type { Method } from './method.js';
import { mona } from './mona.js';
import { mosa } from './mosa.js';
import { parallel } from './parallel.js';
import { parallelShared } from './parallel-shared.js';
import { repadapter } from './repadapter.js';
import { resTuning } from './res-tuning.js';
import { sequential } from './sequential.js';
import { ssf } from './ssf.js';
import { vptDeep } from './vpt-deep.js';
import { vptShallow } from './vpt-shallow.js';

// biome-ignore lint/suspicious/noExplicitAny: methods of different options in one list
export type AnyMethod = Method<any>;

/** The methods of the package. */
export const METHODS: readonly AnyMethod[] = [
  sequential,
  parallel,
  parallelShared,
  lora,
  ssf,
  arc,
  repadapter,
  bitfit,
  vptShallow,
  vptDeep,
  mona,
  mosa,
  resTuning,
  linearProbe,
  full,
];

/** Methods of the user's own. */
const registered = new Map<string, AnyMethod>();

/** All methods that can be asked for by name. */
export const allMethods = (): readonly AnyMethod[] => [...METHODS, ...registered.values()];

/**
 * Makes a method of one's own known by its name, for this process. Registered again, the newer one counts.
 * @throws IdatError `method.name` when the package has a method of that name
 */
export function registerMethod(method: AnyMethod): void {
  if (METHODS.some(({ name }) => name === method.name)) {
    throw new IdatError('method.name', `'${method.name}' is a method of idat already; give yours another name`);
  }
  registered.set(method.name, method);
}

/** @throws IdatError `method.unknown`, offering the nearest names */
export function methodByName(name: string): AnyMethod {
  const method = allMethods().find((m) => m.name === name);
  if (method) return method;
  const names = allMethods().map((m) => m.name);
  throw new IdatError(
    'method.unknown',
    `unknown tuning method '${name}'; did you mean ${nearest(name, names).join(' or ')}? One of your own has to be registered first`,
  );
}

/** The names of a method's options. */
export const optionNames = ({ options }: AnyMethod): string[] =>
  options instanceof z.ZodObject ? Object.keys(options.shape) : [];
