/** How settings are written where words are typed: on the command line, and in the docs that tell of it. */
import { FIELDS, type Field, type FieldName, flagOf } from './fields.js';
import type { FieldType, SchemaField } from './schema-fields.js';

/** The flag with a word for its value: `--lr <number>`, `--disable <names...>`; `--no-orient` where it is on by default. */
export function flagTerm(field: SchemaField): string {
  const flag = flagOf(field.name);
  if (field.type.kind === 'boolean') return field.default === true ? `--no-${flag}` : `--${flag}`;
  return `--${flag} <${placeholder(field.type, field.name)}>`;
}

/** What the flag does. */
export const flagMeaning = ({ type, default: preset, description }: SchemaField): string =>
  type.kind === 'boolean' && preset === true ? `do not ${description}` : description;

function placeholder(type: FieldType, name: string): string {
  switch (type.kind) {
    case 'number':
    case 'integer':
      return 'number';
    case 'choice':
      return 'name';
    case 'list':
      return `${placeholder(type.of, name)}s...`;
    case 'record':
      return 'name=value...';
    default:
      return recordOf(name)?.value ?? 'text';
  }
}

/** The record of a setting of runs; undefined for what other commands have besides. */
export const recordOf = (name: string): Field | undefined =>
  Object.hasOwn(FIELDS, name) ? FIELDS[name as FieldName] : undefined;
