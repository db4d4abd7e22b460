/** Flags made from the configuration's schema: names, meaning and defaults stand there, once. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { z } from 'zod';
import { FineTuneConfig } from '../settings/config.js';
import { FIELDS, GROUPS } from '../settings/fields.js';
import { flagMeaning, flagTerm, recordOf } from '../settings/flags.js';
import { type FieldType, type SchemaField, schemaFields } from '../settings/schema-fields.js';
import { nameOf } from './arguments.js';

/** Under which heading of help what most people look for stands. */
export const MOST_USED = 'Most used:';

/** A command's own heading, for fields that stand elsewhere in other commands' help or nowhere. */
export interface OwnHeading {
  readonly heading: string;
  readonly fields: readonly string[];
}

/** `Tuning method:` */
const titleOf = (group: string): string => `${group[0]!.toUpperCase()}${group.slice(1)}:`;

/**
 * Adds a flag for each field of a schema but the positional `data` and groups of fields, under headings: what is used
 * most, the command's own, then the groups of settings. What is added to the command afterwards stands below.
 */
export function addFlags(command: Command, schema: z.ZodObject, own?: OwnHeading): Command {
  const headings = [MOST_USED, ...(own ? [own.heading] : []), ...GROUPS.map(titleOf)];
  const headingOf = (name: string): string => {
    const record = recordOf(name);
    if (own && (own.fields.includes(name) || !record)) return own.heading;
    return record!.common ? MOST_USED : titleOf(record!.group);
  };
  /** Settings of runs in the order of their records, a command's own in its schema's. */
  const rank = ({ field, heading }: { field: SchemaField; heading: string }) =>
    heading === own?.heading ? 0 : Object.keys(FIELDS).indexOf(field.name);
  const placed = schemaFields(schema)
    .filter(({ name, type }) => name !== 'data' && type.kind !== 'group')
    .map((field) => ({ field, heading: headingOf(field.name) }))
    .sort((a, b) => headings.indexOf(a.heading) - headings.indexOf(b.heading) || rank(a) - rank(b));
  for (const { field, heading } of placed) command.addOption(toOption(field).helpGroup(heading));
  return command;
}

/** What `none` reads as, until the flags are together: of null, commander makes an empty text. */
const NONE = Symbol('none');

/** The fields of a schema that were given, ready to be checked; all others take the schema's defaults. */
export const givenFields = (schema: z.ZodObject, flags: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(flags)
      .filter(([name]) => name in schema.shape)
      .map(([name, value]) => [name, value === NONE ? null : value]),
  );

export const addConfigFlags = (command: Command): Command => addFlags(command, FineTuneConfig);

function toOption(field: SchemaField): Option {
  const option = new Option(flagTerm(field), helpOf(field)).makeOptionMandatory(field.required);
  const { type } = field;
  if (type.kind === 'boolean') return option;
  if (type.kind === 'record') return option.argParser(nameAndValue);
  if (type.kind === 'list') {
    return option.argParser((text: string, before: unknown[] = []) => [...before, parse(text, type.of)]);
  }
  return option.argParser((text: string) => (field.nullable && text === 'none' ? NONE : parse(text, type)));
}

/** The meaning, and what of choices and default does not stand in it. The default is told, not set: a schema fills it in. */
function helpOf(field: SchemaField): string {
  const { type, default: preset } = field;
  const choices = type.kind === 'choice' ? type.choices : choicesOfList(type);
  const told = typeof preset === 'number' || typeof preset === 'string' ? [`default: ${preset}`] : [];
  const notes = [...(choices.length > 0 ? [oneOf(choices)] : []), ...told];
  return notes.length > 0 ? `${flagMeaning(field)} (${notes.join('; ')})` : flagMeaning(field);
}

const choicesOfList = (type: FieldType): readonly string[] =>
  type.kind === 'list' && type.of.kind === 'choice' ? type.of.choices : [];

/** `last, val or paper` */
const oneOf = (names: readonly string[]): string => `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;

/** Adds `rank=8` to what was given before it. */
function nameAndValue(text: string, before: Record<string, number | boolean | string> = {}) {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Expected name=value, such as rank=8.');
  if (value === 'true' || value === 'false') return { ...before, [name]: value === 'true' };
  return { ...before, [name]: Number.isFinite(Number(value)) ? Number(value) : value };
}

/** Not 0x8, which is a size to who types it and 8 to JavaScript. */
const DECIMAL = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** What does not read as the type wanted stays text, for the schema to refuse with the field's name. */
function parse(text: string, type: FieldType): unknown {
  if (type.kind === 'choice') return nameOf(type.choices)(text);
  if (type.kind !== 'number' && type.kind !== 'integer') return text;
  return DECIMAL.test(text.trim()) && Number.isFinite(Number(text)) ? Number(text) : text;
}
