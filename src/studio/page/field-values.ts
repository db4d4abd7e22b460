/** What is typed into fields, as the values that settings have. */
import type { FieldType } from '../../settings/schema-fields.js';
import type { FormField } from './api.js';

/** Not 0x8, which is a size to who types it and 8 to JavaScript. */
const DECIMAL = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** What does not read as the type wanted stays text, for the server to refuse at its field; undefined where nothing was typed. */
export function typedValue(field: Pick<FormField, 'type' | 'nullable'>, text: string): unknown {
  const typed = text.trim();
  if (typed === '') return undefined;
  if (field.nullable && typed === 'none') return null;
  return parsed(field.type, typed);
}

function parsed(type: FieldType, text: string): unknown {
  switch (type.kind) {
    case 'boolean':
      return text === 'true';
    case 'number':
    case 'integer':
    case 'other':
      return DECIMAL.test(text) ? Number(text) : text;
    case 'list':
      return listOf(text).map((one) => parsed(type.of, one));
    case 'record':
      return Object.fromEntries(text.split(/[\s,]+/).map(pairOf));
    default:
      return text;
  }
}

const listOf = (text: string): string[] =>
  text
    .split(/[\s,]+/)
    .map((one) => one.trim())
    .filter((one) => one !== '');

function pairOf(text: string): [string, unknown] {
  const at = text.indexOf('=');
  if (at < 1) return [text, ''];
  const value = text.slice(at + 1);
  if (value === 'true' || value === 'false') return [text.slice(0, at), value === 'true'];
  return [text.slice(0, at), DECIMAL.test(value) ? Number(value) : value];
}

/** A value as it is typed. */
export function textOf(value: unknown): string {
  if (value === undefined) return '';
  if (value === null) return 'none';
  if (Array.isArray(value)) return value.join(', ');
  if (typeof value === 'object') {
    return Object.entries(value)
      .map(([name, one]) => `${name}=${one}`)
      .join(' ');
  }
  return String(value);
}

/** Several values of one field, such as `0.001, 0.003`. */
export const valuesOf = (field: Pick<FormField, 'type' | 'nullable'>, text: string): unknown[] =>
  (field.type.kind === 'list' || field.type.kind === 'record' ? text.split(';') : text.split(','))
    .map((one) => typedValue(field, one))
    .filter((value) => value !== undefined);

/** Whole numbers, also as `1-5`; null where it is none. */
export function seedsOf(text: string): number[] | null {
  const seeds: number[] = [];
  for (const part of listOf(text)) {
    const [, from, to] = /^(\d+)-(\d+)$/.exec(part) ?? [];
    if (from !== undefined) {
      for (let seed = Number(from); seed <= Number(to) && seeds.length <= 100; seed++) seeds.push(seed);
    } else if (/^-?\d+$/.test(part)) seeds.push(Number(part));
    else return null;
  }
  return seeds.length === 0 ? null : [...new Set(seeds)];
}
