/** idat methods: the tuning methods there are, and what each one is. */
import { Command } from 'commander';
import { type MethodRecord, methodRecord, methodRecords, PRESET_BACKBONE } from '../../report/method-records.js';
import { importMethod } from '../extension-file.js';
import { facts, table } from '../format.js';
import { print } from '../terminal.js';

export const methods = new Command('methods')
  .description('list the tuning methods, or tell about one')
  .argument('[name]', 'a method, or the file of one of your own')
  .option('--backbone <name>', 'count what is trained on this backbone', PRESET_BACKBONE)
  .option('--json', 'print as one JSON object')
  .action(async (name: string | undefined, { backbone, json }: { backbone: string; json?: true }) => {
    if (name === undefined) {
      const records = methodRecords(backbone);
      print(`${json ? JSON.stringify(records) : listed(records, backbone)}\n`);
    } else {
      const record = methodRecord(await importMethod(name), backbone);
      print(`${json ? JSON.stringify(record) : described(record)}\n`);
    }
  });

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
