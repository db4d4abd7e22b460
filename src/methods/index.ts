/** The tuning methods by name. */
import { IdatError, nearest } from '../errors.js';
import { full } from './full.js';
import { linearProbe } from './linear.js';
import type { Method } from './method.js';
import { mona } from './mona.js';
import { mosa } from './mosa.js';
import { parallel } from './parallel.js';
import { parallelShared } from './parallel-shared.js';
import { resTuning } from './res-tuning.js';
import { sequential } from './sequential.js';
import { vptDeep } from './vpt-deep.js';
import { vptShallow } from './vpt-shallow.js';

// biome-ignore lint/suspicious/noExplicitAny: methods of different options in one list
export const METHODS: readonly Method<any>[] = [
  sequential,
  parallel,
  parallelShared,
  vptShallow,
  vptDeep,
  mona,
  mosa,
  resTuning,
  linearProbe,
  full,
];

/** @throws IdatError `method.unknown`, offering the nearest names */
// biome-ignore lint/suspicious/noExplicitAny: the options are checked by the method's own schema
export function methodByName(name: string): Method<any> {
  const method = METHODS.find((m) => m.name === name);
  if (method) return method;
  const names = METHODS.map((m) => m.name);
  throw new IdatError(
    'method.unknown',
    `unknown tuning method '${name}'; did you mean ${nearest(name, names).join(' or ')}?`,
  );
}
