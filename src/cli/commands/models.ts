/** idat models: the backbones known by name, and fetching them. */
import { homedir } from 'node:os';
import { Command } from 'commander';
import { goodAs, KNOWN_BACKBONES, type KnownBackbone } from '../../backbones/known-backbones.js';
import { findWeights, namedWeights, obtainWeights, unknown } from '../../backbones/node/registry.js';
import { fetching } from '../../runs/backbones.js';
import { table } from '../format.js';
import { withProgress } from '../with-progress.js';

const fetchModels = new Command('fetch')
  .description('fetch weights from the Hugging Face hub; what is on this disk already is not fetched again')
  .argument('<names...>', 'names as listed by idat models, or hf-hub:ORGANISATION/NAME for any repository of the hub')
  .action(async (names: string[]) => {
    const wanted = names.map((name) => {
      const weights = namedWeights(name);
      if (!weights) throw unknown(name);
      return weights;
    });
    for (const weights of wanted) {
      const work = withProgress(
        (control) => obtainWeights(weights, fetching(weights.name, control)),
        undefined,
        'stopping; Ctrl-C again leaves at once',
      );
      process.stdout.write(`${await work}\n`);
    }
  });

export const models = new Command('models')
  .description('list the backbones known by name, and which are on this disk')
  .option('--json', 'print the list as JSON')
  .addCommand(fetchModels)
  .action(async (flags: { json?: true }) => {
    const listed = await Promise.all(
      KNOWN_BACKBONES.map(async (backbone) => ({ backbone, path: await findWeights(backbone) })),
    );
    if (flags.json) {
      const rows = listed.map(({ backbone: { hub, ...known }, path }) => ({
        ...known,
        goodAs: goodAs(known),
        hub: hub && { repo: hub.repo, file: hub.file },
        path,
      }));
      process.stdout.write(`${JSON.stringify({ models: rows })}\n`);
      return;
    }
    const header = ['name', 'family', 'parameters', 'input', 'licence', 'good as', 'source', 'on this disk'];
    const rows = listed.map(({ backbone, path }) => describe(backbone, path));
    process.stdout.write(
      `${table([header, ...rows], [0, 1, 4, 5, 6, 7])}\n\n` +
        'Parameters without the old head. A teacher is smaller than its student. A source is an organisation of huggingface.co, with a repository of the same name.\n' +
        'What is not fetched is fetched when it is first used, or by: idat models fetch NAME\n',
    );
  });

const FAMILIES = { vit: 'ViT', swin: 'Swin' } as const;

function describe({ name, parameters, config, licence, hub }: KnownBackbone, path: string | null): string[] {
  const place = hub === null ? 'bundled' : (path?.replace(homedir(), '~') ?? 'not fetched');
  const size = `${(parameters / 1e6).toFixed(1)} M`;
  return [
    name,
    FAMILIES[config.family],
    size,
    `${config.imageSize}`,
    licence,
    goodAs({ parameters, config }),
    hub?.repo.split('/')[0] ?? 'idat',
    place,
  ];
}
