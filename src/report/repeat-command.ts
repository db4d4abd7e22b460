/** The command that does again what a run did. */
import { canonical, type FineTuneSettings, resolveConfig } from '../settings/config.js';
import { fieldRecords, flagOf, SPLIT_SEED } from '../settings/fields.js';

/** Named whatever they are, as nobody should have to know the defaults of a version. */
const ALWAYS = new Set(['student', 'teacher', 'method', 'distill', 'epochs', 'seed', 'protocol']);

/** The last step of a path, as it is written on any system. */
export const lastName = (path: string): string => path.replace(/[\\/]+$/, '').replace(/^.*[\\/]/s, '');

/**
 * `idat train photos --student … --lr 0.005`: all settings that change results and are not the default, as a shell reads them.
 * Null for models begun from random weights, which another command makes.
 * @param pathOf how paths are written; default: cut to their last name
 */
export function repeatCommand(settings: FineTuneSettings, pathOf: (path: string) => string = lastName): string | null {
  if (settings.scratch) return null;
  const preset = presetsOf(settings);
  const words = fieldRecords().flatMap(([name, { changes, shorthand, taught, schema }]) => {
    const value = (settings as unknown as Record<string, unknown>)[name];
    if (name === 'data' || shorthand || value === undefined || (changes !== 'result' && name !== 'evalEvery'))
      return [];
    if (settings.teacher === null && (taught || name === 'distill' || name === 'teacher')) return [];
    if (!ALWAYS.has(name) && canonical(value) === canonical(preset[name] ?? schema.safeParse(undefined).data))
      return [];
    return flagWords(name, value, pathOf);
  });
  return [`idat train ${shellWord(pathOf(settings.data))}`, ...words].join(' ');
}

/** What the settings are where only those are given that are always named. */
function presetsOf({ student, teacher, method, distill, epochs, seed }: FineTuneSettings): Record<string, unknown> {
  try {
    return { ...resolveConfig({ data: '', student, teacher, method, distill, epochs, seed }, SPLIT_SEED) };
  } catch {
    return {}; // a method that this process does not know
  }
}

/**
 * `idat train photos --lr 0.005`: settings as they were given, whatever they are.
 * @param others flags that are no settings, such as `recipe`
 */
export function trainCommand(
  data: string,
  given: Readonly<Record<string, unknown>>,
  pathOf: (path: string) => string,
  others: Readonly<Record<string, string>> = {},
): string {
  const names = fieldRecords().flatMap(([name]) => (name === 'data' || given[name] === undefined ? [] : [name]));
  const words = [
    ...Object.entries(others).flatMap(([name, value]) => [`--${name}`, shellWord(value)]),
    ...names.flatMap((name) => flagWords(name, given[name] ?? 'none', pathOf)),
  ];
  return [`idat train ${shellWord(pathOf(data))}`, ...words].join(' ');
}

/** A setting as a flag with its values. */
function flagWords(name: string, value: unknown, pathOf: (path: string) => string): string[] {
  const flag = `--${flagOf(name)}`;
  if (typeof value === 'boolean') return [value ? flag : `--no-${flagOf(name)}`];
  if (Array.isArray(value)) return value.length === 0 ? [] : [flag, ...value.map((one) => shellWord(String(one)))];
  if (typeof value === 'object' && value !== null) {
    const given = Object.entries(value).filter(([, one]) => one !== undefined);
    return given.length === 0 ? [] : [flag, ...given.map(([option, one]) => shellWord(`${option}=${one}`))];
  }
  return value === null ? [] : [flag, shellWord(/[\\/]/.test(String(value)) ? pathOf(String(value)) : String(value))];
}

/** A text as a POSIX shell reads one word. */
export const shellWord = (text: string): string =>
  /^[\w./:=,@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
