/**
 * A schema of settings as a list of fields: what the command line's flags, help, docs and lists of options are made from.
 */
import { z } from 'zod';

/** Limits of a number; null where there is none. */
export interface Range {
  readonly from: number | null;
  readonly to: number | null;
  /** Whether a limit itself is too little or too much. */
  readonly above: boolean;
  readonly below: boolean;
}

export type FieldType =
  | { readonly kind: 'boolean' | 'text' }
  /** `words` may stand instead of a number, such as auto. */
  | { readonly kind: 'number' | 'integer'; readonly range: Range; readonly words: readonly string[] }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'list'; readonly of: FieldType }
  /** Values under names that the schema does not know. */
  | { readonly kind: 'record' }
  /** An object with fields of its own. */
  | { readonly kind: 'group'; readonly fields: readonly SchemaField[] }
  /** What none of idat's settings is; somebody's own method may have such an option. */
  | { readonly kind: 'other' };

export interface SchemaField {
  readonly name: string;
  readonly type: FieldType;
  /** Whether null may be given. */
  readonly nullable: boolean;
  /** Whether it must be given. */
  readonly required: boolean;
  /** Undefined where there is none. */
  readonly default: unknown;
  readonly description: string;
}

/** The part of JSON Schema that settings use. */
interface JsonSchema {
  /** Several where values of several types may be given. */
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly title?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  /** Of what a record holds; false for an object that has its `properties` alone. */
  readonly additionalProperties?: JsonSchema | boolean;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly default?: unknown;
  readonly description?: string;
}

/** The fields of an object's schema as they may be given, in its order; none for a schema of anything else. */
export function schemaFields(schema: z.ZodType): readonly SchemaField[] {
  return fieldsOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema);
}

const fieldsOf = ({ properties = {}, required = [] }: JsonSchema): readonly SchemaField[] =>
  Object.entries(properties).map(([name, field]) => ({
    name,
    type: typeOf(field),
    nullable: alternatives(field).some(({ type }) => type === 'null'),
    required: required.includes(name),
    default: field.default,
    description: field.description ?? '',
  }));

/** One schema for each type that a value may have. */
function alternatives({ anyOf, ...field }: JsonSchema): JsonSchema[] {
  if (anyOf) return anyOf.flatMap(alternatives);
  const { type } = field;
  return typeof type === 'object' ? type.map((one) => ({ ...field, type: one })) : [field];
}

function typeOf(field: JsonSchema): FieldType {
  const [first, ...others] = alternatives(field).filter(({ type }) => type !== 'null');
  if (first === undefined) return { kind: 'other' };
  if (others.length > 0) return numberOrWord([first, ...others]);
  if (first.enum) return { kind: 'choice', choices: first.enum.map(String) };
  switch (first.type) {
    case 'boolean':
      return { kind: 'boolean' };
    case 'string':
      return { kind: 'text' };
    case 'number':
    case 'integer':
      return { kind: first.type, range: rangeOf(first), words: [] };
    case 'array':
      return { kind: 'list', of: first.items ? typeOf(first.items) : { kind: 'other' } };
    case 'object':
      return typeof first.additionalProperties === 'object'
        ? { kind: 'record' }
        : { kind: 'group', fields: fieldsOf(first) };
    default:
      return { kind: 'other' };
  }
}

/** Of several types, a number or fixed words alone is one that a field can be made for. */
function numberOrWord(types: readonly JsonSchema[]): FieldType {
  const words = types.flatMap(wordOf);
  const [numeric, ...rest] = types.filter((one) => wordOf(one).length === 0);
  const number = numeric && rest.length === 0 ? typeOf(numeric) : null;
  return number && 'range' in number ? { ...number, words } : { kind: 'other' };
}

/** A fixed word, or what stands for texts of one form: `HEIGHTxWIDTH`. */
function wordOf({ type, const: fixed, title }: JsonSchema): string[] {
  if (typeof fixed === 'string') return [fixed];
  return type === 'string' && title !== undefined ? [title] : [];
}

function rangeOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: JsonSchema): Range {
  return {
    from: limit(exclusiveMinimum ?? minimum),
    to: limit(exclusiveMaximum ?? maximum),
    above: exclusiveMinimum !== undefined,
    below: exclusiveMaximum !== undefined,
  };
}

/** Whole numbers end where they are no longer exact, which is nobody's limit. */
const limit = (value: number | undefined): number | null =>
  value === undefined || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? null : value;

/** What may be given, in words: `whole from 1 to 64`, `qv | qkv`, `number from 0 to below 1`. */
export function valueText(type: FieldType): string {
  switch (type.kind) {
    case 'boolean':
      return 'true | false';
    case 'choice':
      return type.choices.join(' | ');
    case 'number':
    case 'integer':
      return [...type.words, numberText(type.kind, type.range)].join(' | ');
    case 'list':
      return `${type.of.kind === 'choice' ? 'any of' : 'list of'} ${valueText(type.of)}`;
    case 'record':
      return 'names with values';
    case 'group':
      return type.fields.map(({ name }) => name).join(', ');
    case 'text':
      return 'text';
    case 'other':
      return 'any';
  }
}

function numberText(kind: 'number' | 'integer', { from, to, above, below }: Range): string {
  const parts = [kind === 'integer' ? 'whole' : 'number'];
  if (from !== null) parts.push(`${above ? 'above' : 'from'} ${from}`);
  if (to !== null) parts.push(`${below ? (above ? 'and below' : 'to below') : 'to'} ${to}`);
  return parts.join(' ');
}
