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

/** What a table has no room for. */
const MORE = `## More on some of them

- **\`balance\`.** \`sampling\`: an epoch has as many images as there are, equally many of each class up to one; of a class all come before one comes again,
  and which of a large class come is drawn anew in each epoch. An image that comes again is augmented in another way. Training accuracy is that of what
  was drawn. \`weights\`: an image of a class with n of N images, among C classes, weighs N/(C·n), 1 on average, in both models' cross-entropy and in the
  distillation loss alike. Val and test are measured as they are. Classes are counted in the images the phase trains on.
- **\`patience\`.** Protocol val first looks for the best epoch on val, then trains anew on train and val together up to that epoch. The search ends after so many
  epochs without a better accuracy; an equal one is no better, and the count begins after the warm-up. Both phases follow the schedule of
  all \`epochs\`: where the search ends early, the learning rate has not come down, so choose \`epochs\` near the length you expect, and patience
  for when it was too long.
- **\`averageEpochs\`.** The mean of the student's parameters after each of the last epochs is what is kept, measured and predicted with; training does not
  change, and looks on the way are at the epoch's own parameters. With protocol val the search is as without, and where the best
  epoch comes before so many are over, all up to it are averaged. The teacher keeps its last ones.
- **\`head\`.** \`class-means\` and \`ridge\` fit each model's head, before it trains, to what it reads of the training images as they are (with the method's
  tensors at their starting values). \`class-means\`: the mean direction of each class's features, less the mean of all. \`ridge\`: least squares to one-hot labels with
  an intercept and λ‖W‖², of λ in 10⁻³, 10⁻², … 10² times N times the mean variance of a feature. Logits are multiplied by a factor from 1 to 30. Factor and λ are those of the
  smallest cross-entropy of images that are left out of the fit one by one, of 500 evenly spaced ones at most. Classes are not weighted, whatever \`balance\` is.
  All features lie in memory meanwhile: for ViT-B 9 kB an image, 15 for \`class-means\`.
- **\`teacherWarmupEpochs\`.** The weight of the distillation loss is 0 in so many epochs, then \`beta\`, and goes from there to \`betaEnd\` if that is given.`;

const END =
  'This file is made of `src/settings/fields.ts` by `node tools/make-docs/settings.mjs`, after `npm run build`; a test compares them.';

/** Markdown. */
export function settingsDocs(): string {
  const fields = schemaFields(FineTuneConfig);
  const groups = GROUPS.map((group) => {
    const own = fields.filter(({ name }) => recordOf(name)?.group === group);
    return `## ${group[0]!.toUpperCase()}${group.slice(1)}\n\n${markdownTable([...HEAD, 'changes'], own.map(rowOf))}`;
  });
  return `${[INTRODUCTION, ...groups, MORE, methodOptions(), pretraining(), END].join('\n\n')}\n`;
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
