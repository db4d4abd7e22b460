/** idat methods: the tuning methods there are, and what each one is. */
import { Command } from 'commander';
import { z } from 'zod';
import { KNOWN_BACKBONES, knownBackbone } from '../../backbones/known-backbones.js';
import { IdatError, nearest } from '../../errors.js';
import { type AnyMethod, METHODS, methodByName } from '../../methods/index.js';
import { importMethod } from '../extension-file.js';
import { facts, table } from '../format.js';
import { print } from '../terminal.js';

const PRESET_BACKBONE = 'vit_base_patch16_224';

export const methods = new Command('methods')
  .description('list the tuning methods, or tell about one')
  .argument('[name]', 'a method, or the file of one of your own')
  .option('--backbone <name>', 'count what is trained on this backbone', PRESET_BACKBONE)
  .option('--json', 'print as one JSON object')
  .action(async (name: string | undefined, { backbone, json }: { backbone: string; json?: true }) => {
    const shown = name === undefined ? METHODS : [methodByName(await importMethod(name))];
    const records = shown.map((method) => recordOf(method, backbone));
    if (json) print(`${JSON.stringify(name === undefined ? records : records[0])}\n`);
    else print(`${name === undefined ? listed(records, backbone) : described(records[0]!)}\n`);
  });

interface OptionRecord {
  readonly name: string;
  readonly range: string;
  readonly default: unknown;
  readonly description: string;
}

interface MethodRecord {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  readonly equation: string;
  readonly families: readonly string[];
  readonly identityAtStart: boolean;
  readonly merges: boolean;
  readonly backbone: string;
  /** Numbers trained besides the head with the defaults; null where the method is not defined on the backbone. */
  readonly count: number | null;
  readonly options: readonly OptionRecord[];
}

function recordOf(method: AnyMethod, backbone: string): MethodRecord {
  const known = knownBackbone(backbone);
  if (!known) {
    const names = KNOWN_BACKBONES.map((one) => one.name.split('.')[0]!);
    const near = nearest(backbone, names).join(', ');
    throw new IdatError('backbone.unknown', `unknown model '${backbone}'; did you mean ${near}?`);
  }
  const preset = method.options.parse({});
  const { name, title, paper, equation, families } = method;
  return {
    name,
    title,
    paper,
    equation,
    families,
    identityAtStart: method.identityAtStart(preset),
    merges: method.merge !== undefined,
    backbone: known.name,
    count: families.includes(known.config.family) ? method.count(known.config, preset) : null,
    options: optionsOf(method),
  };
}

/** The part of JSON Schema that options use. */
interface Field {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly default?: unknown;
  readonly description?: string;
}

function optionsOf({ options }: AnyMethod): OptionRecord[] {
  const { properties = {} } = z.toJSONSchema(options, { io: 'input' }) as { properties?: Record<string, Field> };
  return Object.entries(properties).map(([name, field]) => ({
    name,
    range: rangeOf(field),
    default: field.default ?? null,
    description: field.description ?? '',
  }));
}

function rangeOf({ type, enum: choices, minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Field): string {
  if (choices) return choices.join(' | ');
  if (type === 'boolean') return 'true | false';
  const from = minimum ?? (exclusiveMinimum === undefined ? undefined : `above ${exclusiveMinimum}`);
  const to = exclusiveMaximum === undefined ? maximum : `below ${exclusiveMaximum}`;
  const bounds = [from === undefined ? '' : `from ${from}`, to === undefined ? '' : `to ${to}`];
  return [type === 'integer' ? 'whole' : 'number', ...bounds].filter((text) => text !== '').join(' ');
}

function listed(records: readonly MethodRecord[], backbone: string): string {
  const widest = Math.max(...records.map(({ title }) => title.length));
  const rows = records.map((record) => [
    record.name,
    record.count === null ? '–' : record.count.toLocaleString('en'),
    record.families.join(', '),
    record.identityAtStart ? 'yes' : 'no',
    record.merges ? 'yes' : 'no',
    record.title.padEnd(widest),
  ]);
  const head = ['method', 'trained', 'backbones', 'same at start', 'merges', 'title'.padEnd(widest)];
  return [
    table([head, ...rows]),
    '',
    `trained: numbers besides the head, with the method’s defaults, on ${backbone}.`,
    'idat methods NAME tells paper, equation and options.',
  ].join('\n');
}

function described(record: MethodRecord): string {
  const { name, title, paper, equation, families, identityAtStart, merges, backbone, count, options } = record;
  const about = facts({
    method: name,
    title,
    paper,
    equation,
    backbones: families.join(', '),
    trained: `${count === null ? 'not defined' : count.toLocaleString('en')} on ${backbone}, besides the head`,
    'at the start': identityAtStart ? 'the logits are those of the backbone and head alone' : 'the logits change',
    merges: merges ? 'yes: idat merge writes a plain checkpoint' : 'no',
  });
  if (options.length === 0) return `${about}\n\nNo options.`;
  const lines = options.map((option) => {
    const preset = option.default === null ? '' : `, default ${String(option.default)}`;
    return `  ${option.name}  (${option.range}${preset})\n      ${option.description}`;
  });
  return `${about}\n\nOptions, given as --options name=value …\n${lines.join('\n')}`;
}
