/** What a run of the benchmark is to do, from its command line. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { IdatError } from '../src/errors.js';
import { machine } from './machine.js';
import { ADAPTERS, type AdapterName } from './problem.js';
import { MODES, type Mode } from './pytorch.js';

/** bench/ itself, from where it is built. */
export const BENCH = fileURLToPath(new URL('../../', import.meta.url));

export interface Plan {
  readonly quick: boolean;
  readonly rounds: number;
  /** Weights, starting values and batch. */
  readonly folder: string;
  readonly python: string;
  readonly name: string;
  /** Seconds one request to a compiled mode may take. */
  readonly compileLimit: number;
  readonly modes: readonly Mode[];
  readonly adapters: readonly AdapterName[];
}

/** @throws IdatError `bench.arguments`, or node:util's own error for an unknown flag */
export function planFrom(args: string[]): Plan {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      modes: { type: 'string' },
      python: { type: 'string', default: join(BENCH, '.venv/bin/python') },
      name: { type: 'string' },
      'compile-limit': { type: 'string', default: '300' },
    },
  });
  const { quick, python } = values;
  const { cpu, cores } = machine();
  const slug = `${cpu} ${cores} cores${quick ? ' quick' : ''}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return {
    quick,
    folder: join(BENCH, 'cache'),
    python,
    rounds: positive('--rounds', values.rounds ?? (quick ? '2' : '3')),
    compileLimit: positive('--compile-limit', values['compile-limit']),
    name: values.name ?? slug,
    modes: modesFrom(values.modes ?? (quick ? MODES.slice(0, 2) : MODES).join()),
    adapters: quick ? ['parallel'] : ADAPTERS,
  };
}

/** The first of them, eager float32, is what all others are measured against. */
function modesFrom(text: string): Mode[] {
  const wanted = text.split(',').map((name) => name.trim());
  const unknown = wanted.find((name) => !MODES.some((mode) => mode === name));
  if (unknown !== undefined) {
    throw new IdatError('bench.arguments', `--modes: expected names of ${MODES.join(', ')}, got '${unknown}'`);
  }
  return MODES.filter((mode, i) => i === 0 || wanted.includes(mode));
}

function positive(flag: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new IdatError('bench.arguments', `${flag}: expected a whole number from 1, got '${text}'`);
}
