/** Flags made from the configuration's schema: names, meaning and defaults stand there, once. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { FineTuneConfig, type FineTuneInput } from '../settings/config.js';
import { FIELDS, type FieldName, flagOf } from '../settings/fields.js';
import { nameOf } from './arguments.js';

/** The part of JSON Schema our configuration uses. */
interface Field {
  /** Two in a list where the field may be null. */
  type?: string | string[];
  const?: string;
  enum?: string[];
  anyOf?: Field[];
  /** Of a group of fields, which is no flag. */
  properties?: Record<string, Field>;
  items?: Field;
  /** Of what a record holds. */
  additionalProperties?: Field | boolean;
  default?: unknown;
  description?: string;
}

/** Adds a flag for each field of a schema but the positional `data` and groups of fields. */
export function addFlags(command: Command, schema: z.ZodObject): Command {
  const { properties, required = [] } = z.toJSONSchema(schema, { io: 'input' }) as {
    properties: Record<string, Field>;
    required?: string[];
  };
  for (const [name, field] of Object.entries(properties)) {
    if (name === 'data' || isGroup(field)) continue;
    const option = toOption(name, field, required.includes(name));
    command.addOption(name in FIELDS ? option.helpGroup(headingOf(name as FieldName)) : option);
  }
  return command;
}

/** `Tuning method:`, under which the field stands in help. */
function headingOf(name: FieldName): string {
  const { group } = FIELDS[name];
  return `${group[0]!.toUpperCase()}${group.slice(1)}:`;
}

/** An object with fields of its own, unlike a record of whatever names. */
const isGroup = (field: Field): boolean => field.type === 'object' && typeof field.additionalProperties !== 'object';

/** The fields of a schema that were given, ready to be checked; all others take the schema's defaults. */
export const givenFields = (schema: z.ZodObject, flags: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(flags).filter(([name]) => name in schema.shape));

export const addConfigFlags = (command: Command): Command => addFlags(command, FineTuneConfig);

export const configFrom = (data: string, flags: Record<string, unknown>): FineTuneInput =>
  ({ ...givenFields(FineTuneConfig, flags), data }) as FineTuneInput;

function toOption(name: string, field: Field, required: boolean): Option {
  const flag = flagOf(name);
  const description = field.description ?? '';
  if (field.type === 'boolean') {
    return field.default === true
      ? new Option(`--no-${flag}`, `do not ${description}`)
      : new Option(`--${flag}`, description);
  }
  // The default is told, not set: parseConfig must see which fields were given.
  const hasDefault = field.default !== undefined && field.default !== null;
  if (field.items?.enum) {
    const { enum: choices } = field.items;
    return new Option(`--${flag} <names...>`, `${description} (${choices.join(', ')})`).choices(choices);
  }
  if (field.items && isNumber(field.items)) {
    return new Option(`--${flag} <numbers...>`, description).argParser((text: string, earlier: unknown[] = []) => [
      ...earlier,
      parse(text, field.items!),
    ]);
  }
  if (field.type === 'object') {
    return new Option(`--${flag} <name=value...>`, description).argParser(nameAndValue);
  }
  const option = new Option(
    `--${flag} <${placeholder(field)}>`,
    hasDefault ? `${description} (default: ${field.default})` : description,
  );
  if (field.enum) option.choices(field.enum);
  return option.makeOptionMandatory(required).argParser((text: string) => parse(text, field));
}

/** Adds `rank=8` to what was given before it. */
function nameAndValue(text: string, before: Record<string, number | boolean | string> = {}) {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Expected name=value, such as rank=8.');
  if (value === 'true' || value === 'false') return { ...before, [name]: value === 'true' };
  return { ...before, [name]: Number.isFinite(Number(value)) ? Number(value) : value };
}

const alternatives = (field: Field): Field[] => field.anyOf ?? [field];
const isNumber = ({ type }: Field) => type === 'number' || type === 'integer';

function placeholder(field: Field): string {
  if (field.enum) return 'name';
  return alternatives(field).some(isNumber) ? 'number' : 'text';
}

/** What does not read as the type wanted stays text, for the schema to refuse with the field's name. */
function parse(text: string, field: Field): unknown {
  if (field.enum) return nameOf(field.enum)(text);
  const kinds = alternatives(field);
  if (text === 'none' && field.default === null) return null;
  const isLiteral = kinds.some((kind) => kind.const === text);
  return !isLiteral && kinds.some(isNumber) && text.trim() !== '' && Number.isFinite(Number(text))
    ? Number(text)
    : text;
}
