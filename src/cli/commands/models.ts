/** idat models: the backbones known by name, and fetching them. */

import { Command } from 'commander';
import { weightsNamed } from '../../backbones/node/registry.js';
import { homeFolder } from '../../files/node/home-folder.js';
import { imageSizeText } from '../../image-size.js';
import { fetchModel, type ListedModel, listModels } from '../../runs/models.js';
import { table } from '../format.js';
import { print } from '../terminal.js';
import { withProgress } from '../with-progress.js';

const fetchModels = new Command('fetch')
  .description('fetch weights from the Hugging Face hub; what is on this disk already is not fetched again')
  .argument('<names...>', 'names as listed by idat models, or hf-hub:ORGANISATION/NAME for any repository of the hub')
  .action(async (names: string[]) => {
    names.forEach(weightsNamed); // a name mistyped is said before hours are spent on the others
    for (const name of names) {
      const work = withProgress((control) => fetchModel(name, control), undefined, 'stopping');
      print(`${await work}\n`);
    }
  });

export const models = new Command('models')
  .description('list the backbones known by name, and which are on this disk')
  .option('--json', 'print the list as JSON')
  .addCommand(fetchModels)
  .action(async (flags: { json?: true }) => {
    const listed = await listModels();
    if (flags.json) {
      print(`${JSON.stringify({ models: listed })}\n`);
      return;
    }
    const header = ['name', 'family', 'parameters', 'input', 'licence', 'good as', 'source', 'on this disk'];
    const rows = listed.map(describe);
    print(
      `${table([header, ...rows], [0, 1, 4, 5, 6, 7])}\n\n` +
        'Parameters without the old head. A teacher is smaller than its student. A source is an organisation of huggingface.co, with a repository of the same name.\n' +
        'What is not fetched is fetched when it is first used, or by: idat models fetch NAME\n',
    );
  });

const FAMILIES = { vit: 'ViT', swin: 'Swin' } as const;

function describe({ name, parameters, config, licence, goodAs, hub, path }: ListedModel): string[] {
  const place = hub === null ? 'bundled' : (path?.replace(homeFolder(), '~') ?? 'not fetched');
  const size = `${(parameters / 1e6).toFixed(1)} M`;
  return [
    name,
    FAMILIES[config.family],
    size,
    imageSizeText(config.imageSize),
    licence,
    goodAs,
    hub?.repo.split('/')[0] ?? 'idat',
    place,
  ];
}
