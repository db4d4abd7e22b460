/** The command that does again what a run did. */
import { canonical, type FineTuneSettings, resolveConfig } from '../settings/config.js';
import { fieldRecords, flagOf, SPLIT_SEED } from '../settings/fields.js';

/** Named whatever they are, as nobody should have to know the defaults of a version. */
const ALWAYS = new Set(['student', 'teacher', 'method', 'distill', 'epochs', 'seed', 'protocol']);

/** The last step of a path, as it is written on any system. */
export const lastName = (path: string): string => path.replace(/[\\/]+$/, '').replace(/^.*[\\/]/s, '');

/**
 * `idat train photos --student … --lr 0.005`: all settings that change results and are not the default, as a shell reads them.
 * Paths are cut to their last name. Null for models begun from random weights, which another command makes.
 */
export function repeatCommand(settings: FineTuneSettings): string | null {
  if (settings.scratch) return null;
  const preset = presetsOf(settings);
  const words = fieldRecords().flatMap(([name, { changes, shorthand, taught, schema }]) => {
    const value = (settings as unknown as Record<string, unknown>)[name];
    if (name === 'data' || shorthand || value === undefined || (changes !== 'result' && name !== 'evalEvery'))
      return [];
    if (settings.teacher === null && (taught || name === 'distill' || name === 'teacher')) return [];
    if (!ALWAYS.has(name) && canonical(value) === canonical(preset[name] ?? schema.safeParse(undefined).data))
      return [];
    return wordsOf(name, value);
  });
  return [`idat train ${quoted(lastName(settings.data))}`, ...words].join(' ');
}

/** What the settings are where only those are given that are always named. */
function presetsOf({ student, teacher, method, distill, epochs, seed }: FineTuneSettings): Record<string, unknown> {
  try {
    return { ...resolveConfig({ data: '', student, teacher, method, distill, epochs, seed }, SPLIT_SEED) };
  } catch {
    return {}; // a method that this process does not know
  }
}

function wordsOf(name: string, value: unknown): string[] {
  const flag = `--${flagOf(name)}`;
  if (typeof value === 'boolean') return [value ? flag : `--no-${flagOf(name)}`];
  if (Array.isArray(value)) return value.length === 0 ? [] : [flag, ...value.map((one) => quoted(String(one)))];
  if (typeof value === 'object' && value !== null) {
    const given = Object.entries(value).filter(([, one]) => one !== undefined);
    return given.length === 0 ? [] : [flag, ...given.map(([option, one]) => quoted(`${option}=${one}`))];
  }
  return value === null ? [] : [flag, quoted(/[\\/]/.test(String(value)) ? lastName(String(value)) : String(value))];
}

/** As a POSIX shell reads one word. */
const quoted = (text: string): string =>
  /^[\w.:=,@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
