/** The walker of schemas, and the flags and docs that are made with it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BenchConfig } from '../src/bench/config.js';
import { METHODS } from '../src/methods/index.js';
import { methodRecord, methodRecords } from '../src/report/method-records.js';
import { settingsDocs } from '../src/report/settings-docs.js';
import { FineTuneConfig } from '../src/settings/config.js';
import { fieldRecords } from '../src/settings/fields.js';
import { flagMeaning, flagTerm, recordOf } from '../src/settings/flags.js';
import { PretrainConfig } from '../src/settings/pretrain.js';
import { type FieldType, type SchemaField, schemaFields, valueText } from '../src/settings/schema-fields.js';

const fieldOf = (schema: z.ZodType): SchemaField => schemaFields(z.object({ theField: schema }))[0]!;
const free = { from: null, to: null, above: false, below: false };

describe('types', () => {
  it.each<[string, z.ZodType, FieldType, text: string]>([
    ['a switch', z.boolean().default(true), { kind: 'boolean' }, 'true | false'],
    ['text', z.string().regex(/x/), { kind: 'text' }, 'text'],
    ['names', z.enum(['a', 'b']).optional(), { kind: 'choice', choices: ['a', 'b'] }, 'a | b'],
    ['any number', z.number(), { kind: 'number', range: free, words: [] }, 'number'],
    ['a whole number', z.int(), { kind: 'integer', range: free, words: [] }, 'whole'],
    [
      'a number that is neither limit',
      z.number().positive().lt(1),
      { kind: 'number', range: { from: 0, to: 1, above: true, below: true }, words: [] },
      'number above 0 and below 1',
    ],
    [
      'a share',
      z.number().min(0).lt(1),
      { kind: 'number', range: { from: 0, to: 1, above: false, below: true }, words: [] },
      'number from 0 to below 1',
    ],
    [
      'a whole number between limits',
      z.int().min(-3).max(5),
      { kind: 'integer', range: { ...free, from: -3, to: 5 }, words: [] },
      'whole from -3 to 5',
    ],
    [
      'a number or a word',
      z.union([z.literal('auto'), z.int().min(1)]).default('auto'),
      { kind: 'integer', range: { ...free, from: 1 }, words: ['auto'] },
      'auto | whole from 1',
    ],
    [
      'a list of names',
      z.array(z.enum(['a', 'b'])),
      { kind: 'list', of: { kind: 'choice', choices: ['a', 'b'] } },
      'any of a | b',
    ],
    [
      'a list of numbers',
      z.array(z.int().min(1)),
      { kind: 'list', of: { kind: 'integer', range: { ...free, from: 1 }, words: [] } },
      'list of whole from 1',
    ],
    ['a record', z.record(z.string(), z.union([z.number(), z.string()])), { kind: 'record' }, 'names with values'],
    ['several types', z.union([z.number(), z.string()]), { kind: 'other' }, 'any'],
    ['what JSON has not', z.date(), { kind: 'other' }, 'any'],
    ['anything', z.unknown(), { kind: 'other' }, 'any'],
  ])('%s', (_, schema, type, text) => {
    expect(fieldOf(schema).type).toEqual(type);
    expect(valueText(type)).toBe(text);
  });

  it('an object is a group of fields', () => {
    const { type } = fieldOf(z.strictObject({ width: z.int().default(3), name: z.string() }));
    expect(type).toMatchObject({ kind: 'group', fields: [{ name: 'width', default: 3 }, { name: 'name' }] });
    expect(valueText(type)).toBe('width, name');
  });
});

it('tells what must be given, what may be null, defaults and meaning', () => {
  const [a, b, c] = schemaFields(
    z.object({
      a: z.string().describe('a thing'),
      b: z.string().nullable().default(null),
      c: z.number().default(2),
    }),
  );
  expect(a).toMatchObject({ required: true, nullable: false, default: undefined, description: 'a thing' });
  expect(b).toMatchObject({ required: false, nullable: true, default: null, type: { kind: 'text' }, description: '' });
  expect(c).toMatchObject({ required: false, nullable: false, default: 2 });
});

it('a schema of no object has no fields', () => {
  expect(schemaFields(z.string())).toEqual([]);
});

describe.each<[of: string, schema: z.ZodType]>([
  ['runs', FineTuneConfig],
  ['pretraining', PretrainConfig],
  ['benchmarks', BenchConfig],
  ...METHODS.map(({ name, options }): [string, z.ZodType] => [name, options]),
])('the settings of %s', (_, schema) => {
  it('have a type and a meaning each', () => {
    for (const { name, type, description } of schemaFields(schema)) {
      expect(description, name).not.toBe('');
      expect(JSON.stringify(type), name).not.toContain('other');
    }
  });
});

it('every record of a setting is a field, in its order', () => {
  expect(schemaFields(FineTuneConfig).map(({ name }) => name)).toEqual(fieldRecords().map(([name]) => name));
});

describe('flags', () => {
  const flag = (name: string, schema: z.ZodType) => flagTerm({ ...fieldOf(schema), name });
  it.each([
    ['--flip', 'flip', z.boolean().default(false)],
    ['--no-orient', 'orient', z.boolean().default(true)],
    ['--lr-per-step <number>', 'lrPerStep', z.number()],
    ['--micro-batch <number>', 'microBatch', z.union([z.literal('auto'), z.int()])],
    ['--device <name>', 'device', z.enum(['a'])],
    ['--disable <names...>', 'disable', z.array(z.enum(['a']))],
    ['--feature-layers <numbers...>', 'featureLayers', z.array(z.int())],
    ['--options <name=value...>', 'options', z.record(z.string(), z.number())],
    ['--teacher <backbone>', 'teacher', z.string().nullable()],
    ['--whatever <text>', 'whatever', z.string()],
  ])('%s', (term, name, schema) => {
    expect(flag(name, schema)).toBe(term);
  });

  it('have a record where they are settings of runs', () => {
    expect(recordOf('lr')?.group).toBe('schedule');
    for (const other of ['readings', 'toString']) expect(recordOf(other)).toBeUndefined();
  });

  it('of a switch that is on says what it turns off', () => {
    const field = fieldOf(z.boolean().default(true).describe('turn photographs'));
    expect(flagMeaning(field)).toBe('do not turn photographs');
    expect(flagMeaning({ ...field, default: false })).toBe('turn photographs');
  });
});

describe('docs/settings.md', () => {
  const committed = readFileSync(new URL('../docs/settings.md', import.meta.url), 'utf8');
  it('is what the records make', () => {
    expect(committed, 'made anew by: npm run build && node tools/make-docs/settings.mjs').toBe(settingsDocs());
  });

  it('tells each setting once, with what it changes', () => {
    const words = { result: 'results', speed: 'speed', nothing: 'nothing' };
    for (const [name, { changes, shorthand }] of fieldRecords()) {
      const rows = committed.split('\n').filter((line) => line.includes(` | \`${name}\` | `) && cellsIn(line) === 6);
      expect(rows, name).toHaveLength(1);
      expect(rows[0]!.endsWith(`| ${shorthand ? 'what it stands for' : words[changes]} |`), rows[0]).toBe(true);
    }
  });
  const cellsIn = (row: string) => row.split(' | ').length;
});

describe('methodRecords', () => {
  it('tells of every method what it trains on a backbone', () => {
    const records = methodRecords('vit_base_patch16_224');
    expect(records.map(({ name }) => name)).toEqual(METHODS.map(({ name }) => name));
    expect(records.find(({ name }) => name === 'lora')).toMatchObject({
      ...{ count: 294_912, merges: true, identityAtStart: true, families: ['vit', 'swin'] },
      backbone: 'vit_base_patch16_224.augreg_in21k',
      options: expect.arrayContaining([
        { name: 'rank', range: 'whole from 1 to 65536', default: 8, description: 'rank of each product' },
        expect.objectContaining({ name: 'targets', range: 'qv | qkv', default: 'qv' }),
      ]),
    });
  });

  it('counts nothing where a method is not defined', () => {
    expect(methodRecord('vpt-deep', 'swin_tiny_patch4_window7_224.ms_in1k').count).toBeNull();
  });

  it('offers the nearest names', () => {
    expect(() => methodRecords('vit_bse')).toThrow(/unknown model 'vit_bse'; did you mean vit_base_patch16_224, /);
    expect(() => methodRecord('loora')).toThrow(/did you mean lora /);
  });
});
