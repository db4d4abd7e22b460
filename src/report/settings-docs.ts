/** docs/settings.md: every setting, as a reader looks it up. */
import { FineTuneConfig } from '../settings/config.js';
import { type Changes, GROUPS } from '../settings/fields.js';
import { flagTerm, recordOf } from '../settings/flags.js';
import { PretrainConfig } from '../settings/pretrain.js';
import { type SchemaField, schemaFields, valueText } from '../settings/schema-fields.js';
import { markdownTable, plain } from './markdown.js';
import { methodRecords } from './method-records.js';

const CHANGES: Readonly<Record<Changes, string>> = { result: 'results', speed: 'speed', nothing: 'nothing' };

const INTRODUCTION = `# Settings

Every setting of a run, on the command line (\`npx idat train ./flowers --lr 0.001\`) and in the library
(\`fineTune({ data: './flowers', lr: 0.001 })\`). The run's \`config.json\` stores them all, and
shorthands as what they stand for.

What another value **changes**:

| | |
| --- | --- |
| results | the numbers that come out. Runs that differ here are not repeats of one another: \`idat compare\` takes up none of them for the other, and a [model's card](pretraining.md) tells each that is not the default |
| speed | how fast they come, and at most their last bits, as sums are taken in another order |
| nothing | neither |

Settings of distillation, and of the teacher, mean something only where \`--teacher\` is given.`;

const END =
  'This file is made of `src/settings/fields.ts` by `node tools/make-docs/settings.mjs`, after `npm run build`; a test compares them.';

/** Markdown. */
export function settingsDocs(): string {
  const fields = schemaFields(FineTuneConfig);
  const groups = GROUPS.map((group) => {
    const own = fields.filter(({ name }) => recordOf(name)?.group === group);
    return `## ${group[0]!.toUpperCase()}${group.slice(1)}\n\n${markdownTable([...HEAD, 'changes'], own.map(rowOf))}`;
  });
  return `${[INTRODUCTION, ...groups, methodOptions(), pretraining(), END].join('\n\n')}\n`;
}

function rowOf(field: SchemaField): string[] {
  const { changes, shorthand } = recordOf(field.name)!;
  return [...cellsOf(field), shorthand ? 'what it stands for' : CHANGES[changes]];
}

const HEAD = ['flag', 'in the library', 'meaning', 'value', 'default'];

function cellsOf(field: SchemaField): string[] {
  const { text, preset } = parted(field.description);
  return [
    flagCell(field),
    code(field.name),
    plain(text),
    plain(valueInWords(field)),
    presetCell(field.default, preset),
  ];
}

const code = (text: string): string => `\`${text}\``;

/** The data set has no flag, and no group of settings has. */
function flagCell(field: SchemaField): string {
  if (field.type.kind === 'group') return 'those of `idat pretrain`';
  return field.name === 'data' ? 'the argument' : code(flagTerm(field).replace(/ <.*/, ''));
}

/** A default that is no value stands in the meaning, in brackets. */
function parted(description: string): { text: string; preset: string | undefined } {
  const [bracket, preset] = /\s*\(default: ([^)]*)\)/.exec(description) ?? [];
  return { text: bracket === undefined ? description : description.replace(bracket, ''), preset };
}

function valueInWords({ name, type, nullable }: SchemaField): string {
  const own = type.kind === 'text' ? recordOf(name)?.value : undefined;
  return `${own ?? valueText(type).replaceAll(' | ', ', ')}${nullable ? ', or none (null)' : ''}`;
}

function presetCell(value: unknown, words: string | undefined): string {
  if (words !== undefined) return plain(words);
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return '–';
  return code(String(value));
}

/** What pretraining has besides, or has another default of. */
function pretraining(): string {
  const usual = new Map(schemaFields(FineTuneConfig).map((field) => [field.name, JSON.stringify(field)]));
  const isOwn = (field: SchemaField) => usual.get(field.name) !== JSON.stringify(field);
  const fields = schemaFields(PretrainConfig);
  const shared = fields.filter((field) => !isOwn(field) && field.name !== 'data');
  return `## Pretraining

\`npx idat pretrain ./pictures\` and \`pretrain()\` have sizes of their own, other defaults, and a name:

${markdownTable(HEAD, fields.filter(isOwn).map(cellsOf))}

Besides, of those above: ${shared.map(flagCell).join(', ')}.`;
}

/** What `--options` takes. */
function methodOptions(): string {
  const rows = methodRecords().flatMap(({ name, options }) =>
    options.map((option) => [
      code(name),
      code(option.name),
      plain(option.description),
      plain(option.range.replaceAll(' | ', ', ')),
      presetCell(option.default, undefined),
    ]),
  );
  return `## Options of methods

\`--options rank=4 dropout=0\`, \`options: { rank: 4, dropout: 0 }\`. Methods that are not named have none. They change results.

${markdownTable(['method', 'option', 'meaning', 'value', 'default'], rows)}`;
}
