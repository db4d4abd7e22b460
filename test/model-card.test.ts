/**
 * The card of a trained model names all that changes its numbers and is not idat's default: held for every field of the
 * settings, by a value of each that is not its default and what the card says of it.
 */
import { describe, expect, it } from 'vitest';
import type { Backbone, ViTConfig } from '../src/backbones/backbone.js';
import { LOSSES } from '../src/distill/index.js';
import { plain } from '../src/report/markdown.js';
import { type CardFacts, modelCard } from '../src/report/model-card.js';
import {
  differingSettings,
  type FineTuneInput,
  type FineTuneSettings,
  parseConfig,
  resultSettings,
} from '../src/settings/config.js';
import { BUNDLED, FIELDS, type FieldName, fieldRecords } from '../src/settings/fields.js';
import type { RunRecord } from '../src/settings/record.js';

/** A run of defaults with a teacher. */
const BASE = { data: '/somewhere/flowers', student: BUNDLED.student, teacher: BUNDLED.teacher } as const;

interface Sample {
  /** The field with another value than its default, and what has to be so for it to mean anything. */
  readonly set: Partial<FineTuneInput>;
  /** What the card then says, and says in no card of defaults; absent where it need not say anything. */
  readonly told?: string;
}

const SAMPLES: Record<Exclude<FieldName, Shorthand>, Sample> = {
  data: { set: { data: '/elsewhere/leaves' }, told: '| data | leaves;' },
  orient: { set: { orient: false }, told: 'not turned as their EXIF tag says' },
  strict: { set: { strict: true } },
  student: { set: { student: 'vit_tiny_patch16_224.mine' }, told: '| begun from | vit_tiny_patch16_224.mine, sha256 ' },
  scratch: {
    set: { scratch: { width: 96, depth: 3, heads: 2, mlpWidth: 100, patchSize: 8, imageSize: 48 } },
    told: '| sizes | width 96, depth 3, heads 2, MLP 100 |\n| input | RGB, 48 × 48 pixels (bicubic), patches of 8 |',
  },
  teacher: { set: { teacher: 'vit_tiny_patch16_224.mine' }, told: '| taught by | vit_tiny_patch16_224.mine, sha256 ' },
  imageSize: { set: { imageSize: 64 }, told: '64 pixels a side' },
  studentLayerNormEps: { set: { studentLayerNormEps: 3e-5 }, told: '| epsilon of its norms | 0.00003 ' },
  teacherLayerNormEps: { set: { teacherLayerNormEps: 3e-5 }, told: '| epsilon of the teacher’s norms | 0.00003 ' },
  method: { set: { method: 'ssf', teacherMethod: 'parallel-shared' }, told: '| method | ssf |' },
  teacherMethod: { set: { teacherMethod: 'ssf' }, told: 'tuned beside it with ssf |' },
  options: {
    set: { options: { hidden: 7 }, teacherOptions: { hidden: 4 } },
    told: '| method | parallel-shared hidden=7 ',
  },
  teacherOptions: { set: { teacherOptions: { hidden: 7 } }, told: 'with parallel-shared hidden=7 ' },
  blocks: { set: { blocks: 'last:2', teacherBlocks: 'all' }, told: '| blocks tuned | the last 2; all others stay' },
  teacherBlocks: { set: { teacherBlocks: '1,2,4' }, told: '| blocks tuned of the teacher | 1 to 2 and 4 |' },
  head: { set: { head: 'published' }, told: '| starting values of the head | those published' },
  distill: { set: { distill: 'cosine' }, told: '| distillation loss | cosine: 1 − student' },
  temperature: { set: { temperature: 3, distill: 'kl' }, told: 'τ = 3 |' },
  squaredTemperature: { set: { squaredTemperature: true, distill: 'kl' }, told: 'multiplied by τ²' },
  alpha: { set: { alpha: 0.3 }, told: '0.3 for the teacher’s' },
  beta: { set: { beta: 0.3 }, told: '0.3 for distillation' },
  betaEnd: { set: { betaEnd: 0.3 }, told: 'goes to 0.3 in epoch 100 along a straight line' },
  betaShape: { set: { betaShape: 'cosine', betaEnd: 0.3 }, told: 'goes to 0.3 in epoch 100 along half a cosine' },
  teacherWarmupEpochs: { set: { teacherWarmupEpochs: 4 }, told: 'for distillation from epoch 5 on |' },
  teacherView: { set: { teacherView: 'flip' }, told: '| the teacher sees | what the student sees, mirrored |' },
  distillGradient: { set: { distillGradient: 'student' }, told: '| distillation trains | the student alone |' },
  featureLayers: {
    set: { featureLayers: [2, 4], distill: 'features' },
    told: '| blocks 2, 4 of the teacher, all tokens |',
  },
  featureTokens: { set: { featureTokens: 'class', distill: 'features' }, told: '| all blocks, class tokens alone |' },
  epochs: { set: { epochs: 90, warmupEpochs: 10, cooldownEpochs: 10 }, told: '| epochs | 90, and 10 more' },
  warmupEpochs: { set: { warmupEpochs: 3 }, told: '3 epochs of warm-up' },
  cooldownEpochs: { set: { cooldownEpochs: 3 }, told: '| epochs | 100, and 3 more' },
  lr: { set: { lr: 0.3 }, told: '| learning rate | 0.3, ' },
  warmupLr: { set: { warmupLr: 3e-5 }, told: 'of warm-up from 0.00003,' },
  minLr: { set: { minLr: 3e-5 }, told: 'cosine to 0.00003,' },
  lrPerStep: { set: { lrPerStep: true }, told: 'changed from step to step' },
  patience: { set: { patience: 4, protocol: 'val' }, told: 'ended 4 epochs after the last better one' },
  averageEpochs: { set: { averageEpochs: 4 }, told: '| parameters kept | the mean of those after each of the last 4' },
  weightDecay: { set: { weightDecay: 0.3 }, told: 'weight decay 0.3 ' },
  clipNorm: { set: { clipNorm: 0.3 }, told: 'shortened to a norm of 0.3' },
  labelSmoothing: { set: { labelSmoothing: 0.3 }, told: '| label smoothing | 0.3 ' },
  dropPath: { set: { dropPath: 0.3 }, told: '| drop path | branches left out at random, at rate 0.3 ' },
  flip: { set: { flip: true }, told: '| flips |' },
  cropPadding: { set: { cropPadding: 3 }, told: '| crops | moved at random by up to 3 pixels' },
  trivialAugment: { set: { trivialAugment: true }, told: '| TrivialAugment |' },
  dropTokens: { set: { dropTokens: 0.3 }, told: '| patches left out | 30.00 % of each image |' },
  fullTokenEpochs: { set: { fullTokenEpochs: 3, dropTokens: 0.3 }, told: 'none in the last 3 epochs' },
  batchSize: { set: { batchSize: 48 }, told: '| images for each update | 48 |' },
  balance: { set: { balance: 'sampling' }, told: 'drawn equally often in each epoch' },
  microBatch: { set: { microBatch: 8 } },
  seed: { set: { seed: 7 }, told: '| seed | 7; 42 of splits that idat makes |' },
  splitSeed: { set: { splitSeed: 7 }, told: '7 of splits that idat makes |' },
  protocol: { set: { protocol: 'paper' }, told: 'after the epoch that was best on these images, epoch 100' },
  evalEvery: { set: { evalEvery: 3 } },
  device: { set: { device: 'cuda' } },
  threads: { set: { threads: 3 } },
  replicas: { set: { replicas: 3 } },
  frozen: {
    set: { frozen: 'int8' },
    told: '| frozen weights | products with them in 8-bit integers, forward and backward',
  },
  disable: { set: { disable: ['simplify'] } },
  prefixMemory: { set: { prefixMemory: 3 } },
  cacheDir: { set: { cacheDir: '/elsewhere/cache' } },
  offline: { set: { offline: true } },
  tensorboard: { set: { tensorboard: true } },
  out: { set: { out: '/elsewhere/run' } },
};

/** Fields that end up in others. A field that is added belongs in one of the two tables. */
type Shorthand = keyof typeof SHORTHANDS;
const SHORTHANDS = {
  variant: { set: { variant: 'iDAT-S-kl' }, changes: ['method', 'distill', 'teacherMethod'] },
  adapter: { set: { adapter: 'sequential' }, changes: ['method', 'teacherMethod'] },
  teacherAdapter: { set: { teacherAdapter: 'sequential' }, changes: ['teacherMethod'] },
  hidden: { set: { hidden: 7 }, changes: ['options', 'teacherOptions'] },
  scale: { set: { scale: 7 }, changes: ['options', 'teacherOptions'] },
} satisfies Partial<Record<FieldName, { set: Partial<FineTuneInput>; changes: FieldName[] }>>;

const sampled = Object.entries(SAMPLES) as [keyof typeof SAMPLES, Sample][];
const telling = sampled.filter(([name]) => FIELDS[name].changes === 'result') as [FieldName, Required<Sample>][];
const silent = sampled.filter(([name]) => FIELDS[name].changes !== 'result');

const CONFIG: ViTConfig = {
  ...{ family: 'vit', channels: 3, qkvBias: true, layerNormEps: 1e-6 },
  ...{ imageSize: 32, patchSize: 4, width: 128, depth: 6, heads: 4, mlpWidth: 512 },
};
const NORMALISATION = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };

/** What a run with these settings would leave behind. */
function factsOf(settings: FineTuneSettings, classes: readonly string[] = ['daisy', 'rose']): CardFacts {
  const config = { ...CONFIG, ...(settings.scratch as Partial<ViTConfig> | undefined) };
  const recordOf = (name: string) => ({
    ...NORMALISATION,
    name,
    path: `/${name}`,
    sha256: 'f00d',
    config: { ...config },
  });
  const record: RunRecord = {
    format: 'idat-run-1',
    versions: { idat: '0.1.0', onnxruntime: '1.30.0', node: '20.15.0' },
    settings,
    resolved: { device: 'cpu', threads: 2, microBatch: 16 },
    data: { source: settings.data, kind: 'folder', note: '20 train, 5 val, 5 test.', fingerprints: {} },
    classes: classes.length,
    student: recordOf(settings.student),
    teacher: settings.teacher === null ? null : recordOf(settings.teacher),
  };
  const backbone = {
    ...NORMALISATION,
    name: settings.student,
    config,
    path: '',
    sha256: 'f00d',
  } as unknown as Backbone;
  const { protocol } = settings;
  const result = { ...{ accuracy: 0.8, correct: 4, total: 5, protocol, selectedEpoch: 99, seconds: 90 } };
  return {
    ...{ backbone, record, classes, file: 'merged.safetensors', parameters: 1234, metrics: [] },
    result: { ...result, trainableParameters: { student: 10, teacher: null, head: 2 } },
  };
}

const settingsOf = (set: Partial<FineTuneInput> = {}): FineTuneSettings => parseConfig({ ...BASE, ...set });
const cardOf = (set: Partial<FineTuneInput> = {}): string => modelCard(factsOf(settingsOf(set)));
/** Names of the rows of the recipe. */
function rowsOf(card: string): string[] {
  const [, recipe] = /## Recipe\n([\s\S]*)## Log/.exec(card)!;
  return [...recipe!.matchAll(/^\| ([^|]+) \|/gm)].map(([, name]) => name!).filter((name) => !/^-*$/.test(name.trim()));
}

it('has a sample of every field, and none of what is no field', () => {
  const names = fieldRecords().map(([name]) => name);
  expect([...Object.keys(SAMPLES), ...Object.keys(SHORTHANDS)].sort()).toEqual([...names].sort());
  const shorthand = fieldRecords().filter(([, field]) => field.shorthand);
  expect(shorthand.map(([name]) => name)).toEqual(Object.keys(SHORTHANDS));
});

describe('the card of defaults', () => {
  const always = ['begun from', 'method', 'published as'];
  const training = ['epochs', 'images for each update', 'optimiser', 'learning rate', 'seed', 'computed on'];
  it('tells what is always told, and nothing else', () => {
    expect(rowsOf(cardOf())).toEqual([
      ...always,
      ...['taught by', 'distillation loss', 'weights of the losses'],
      ...training,
    ]);
  });
  it('tells nothing of teaching where nobody taught', () => {
    const alone = settingsOf({ teacher: null });
    const taught = sampled.filter(([name]) => 'taught' in FIELDS[name]);
    const others = taught.map(([name, { set }]) => [name, settingsOf(set)[name as keyof FineTuneSettings]]);
    const card = modelCard(factsOf({ ...alone, ...Object.fromEntries(others) }));
    expect(taught.length).toBeGreaterThan(8);
    expect(rowsOf(card)).toEqual([...always, ...training]);
  });
});

describe.each(telling)('%s, which changes results', (name, { set, told }) => {
  it('is told where it is not the default', () => {
    expect(told, 'a sample without what the card says of it').toBeTypeOf('string');
    expect(cardOf(set)).toContain(told);
    // said because of this field, not of what had to be so for it to mean anything
    const { [name as keyof FineTuneInput]: _, ...rest } = set;
    expect(cardOf(rest)).not.toContain(told);
  });

  it('makes runs differ, by its name', () => {
    const key = name as keyof FineTuneSettings;
    const base = settingsOf();
    const changed = { ...base, [key]: settingsOf(set)[key] };
    expect(differingSettings(base, changed)).toEqual([name]);
    expect(resultSettings(changed)).not.toEqual(resultSettings(base));
  });
});

describe.each(silent)('%s, which changes no result', (name, { set }) => {
  it('need not be told', () => {
    expect(rowsOf(cardOf(set))).toEqual(rowsOf(cardOf()));
  });

  it('makes no runs differ', () => {
    const key = name as keyof FineTuneSettings;
    const base = settingsOf();
    const changed = { ...base, [key]: settingsOf(set)[key] };
    expect(changed[key]).not.toEqual(base[key]);
    expect(differingSettings(base, changed)).toEqual([]);
  });
});

describe.each(Object.entries(SHORTHANDS))('%s, which stands for others', (_, { set, changes }) => {
  it('makes runs differ in what it stands for', () => {
    const differing = differingSettings(settingsOf(), settingsOf(set));
    for (const name of changes) expect(differing).toContain(name);
    expect(differing.filter((name) => name in SHORTHANDS)).toEqual([]);
  });
});

it('of runs without a teacher, what is only taught does not count', () => {
  const alone = settingsOf({ teacher: null });
  expect(differingSettings(alone, { ...alone, alpha: 0.3, distill: 'kl' })).toEqual([]);
  expect(differingSettings(alone, settingsOf({ alpha: 0.3 }))).toEqual(['teacher']);
  expect(differingSettings(settingsOf({ alpha: 0.3 }), alone)).toEqual(['teacher']);
});

it('equal options in another order are equal', () => {
  const one = settingsOf({ method: 'lora', options: { rank: 2, scale: 3 } });
  const other = { ...one, options: Object.fromEntries(Object.entries(one.options).reverse()) };
  expect(Object.keys(other.options)).not.toEqual(Object.keys(one.options));
  expect(differingSettings(one, other)).toEqual([]);
});

describe('what changes nothing in a run is not told', () => {
  it.each<[string, Partial<FineTuneInput>]>([
    ['a temperature of a loss without one', { temperature: 3 }],
    ['features of a loss on logits', { featureTokens: 'class', featureLayers: [1] }],
    ['the way to an end that is the beginning', { betaShape: 'cosine' }],
    ['drop path in front of what is not trained', { dropPath: 0.3, method: 'linear' }],
  ])('%s', (_, set) => {
    const { dropPath, ...rest } = set;
    const without = dropPath === undefined ? {} : rest;
    expect(cardOf(set)).toBe(cardOf(without));
  });
});

it.each(LOSSES.map(({ name }) => name))('tells the formula of %s as it stands', (distill) => {
  const [, cell] = /\| distillation loss \| (.*) \|/.exec(cardOf({ distill }))!;
  expect(unescaped(cell!)).toContain(`${distill}: ${LOSSES.find(({ name }) => name === distill)!.formula}`);
});

it('tells of a method and a loss that this process does not know', () => {
  const settings = { ...settingsOf(), method: 'mine', distill: 'own', options: { depth: 2 } };
  const card = modelCard(factsOf(settings));
  expect(card).toContain('| method | mine depth=2 |');
  expect(card).toContain('| distillation loss | own, a loss of its maker’s own; temperature τ = 5 |');
  expect(rowsOf(card)).not.toContain('published as');
});

/** As a reader of Markdown shows it. */
const unescaped = (text: string): string =>
  text
    .replace(/\\([\\`*[\]|~$_])/g, '$1')
    .replaceAll('&lt;', '<')
    .replaceAll('&amp;', '&');

describe('words of strangers', () => {
  const BAD = [
    'a | b',
    'a\\| b',
    'ends in \\',
    'two\nlines\r\nthree',
    'par\u2028agraph',
    '<script>alert(1)</script>',
    '<!-- no end',
    '[link](https://example.org)',
    '![image](x)',
    '`code',
    '**bold** _slanted_ ~~gone~~',
    '$x$ and $y$',
    '&lt;b&gt;',
    'snake_case_name',
  ];

  it.each(BAD)('%j leave the card whole', (bad) => {
    const settings = { ...settingsOf(), student: bad, teacher: bad, data: `/x/${bad}`, options: { word: bad } };
    const facts = factsOf(settings, [bad, 'rose']);
    const card = modelCard({ ...facts, file: `${bad}.safetensors` });
    const plainCard = modelCard(factsOf({ ...settingsOf(), options: { word: 'x' } }));
    // the same lines begin the same way, each row has its two cells
    expect(card.split('\n').map((line) => line.slice(0, 5))).toEqual(
      plainCard
        .split('\n')
        .map((line) => line.slice(0, 5))
        .map((start, i) => (i === 0 ? card.slice(0, 5) : start)),
    );
    const rows = card.split('\n').filter((line) => line.startsWith('|'));
    const cells = (row: string) => row.replace(/\\./g, '').split('|').length - 2;
    for (const row of rows)
      expect(cells(row), row).toBe(row.startsWith('| epoch |') || row.includes('--- | --- | ---') ? 5 : 2);
    expect(card).not.toMatch(/<[a-z!/]/i);
  });

  it.each(BAD)('%j read as they are', (bad) => {
    const shown = bad.replace(/[\r\n\u2028]+/g, ' ');
    expect(unescaped(plain(bad))).toBe(shown);
  });

  it('have no markup left', () => {
    // whatever would begin markup stands behind a backslash
    for (const bad of BAD)
      expect(plain(bad).replace(/\\(_|[^\w\s])/g, '')).not.toMatch(/[`*[\]|~$<\\]|(^|\W)_|_(\W|$)/);
    expect(plain('snake_case_name')).toBe('snake_case_name');
  });
});
