/** idat params: what each method trains, beside the paper's figures. */
import { Command } from 'commander';
import { PAPER_STUDENT, PAPER_TEACHER, type ParameterTable, parameterTable } from '../../paper/parameter-table.js';
import { ALL_BLOCKS, blocksInWords } from '../../settings/blocks.js';
import { table, wrapped } from '../format.js';
import { print } from '../terminal.js';

export const params = new Command('params')
  .description('count what each method trains, beside the figures that the paper prints')
  .option('--student <name>', 'sizes of the student, by name; no weights are needed', PAPER_STUDENT)
  .option('--teacher <name>', 'sizes of the teacher', PAPER_TEACHER)
  .option('--blocks <blocks>', 'count in these blocks alone: last:4, first:4 or a list such as 1,3,5-8', ALL_BLOCKS)
  .option('--json', 'print all counts as one JSON object')
  .action((flags: { student: string; teacher: string; blocks: string; json?: true }) => {
    const counted = parameterTable(flags.student, flags.teacher, flags.blocks);
    print(flags.json ? `${JSON.stringify(counted)}\n` : describe(counted));
  });

const whole = (count: number): string => Math.round(count).toLocaleString('en');

function describe({ student, teacher, blocks, meanClasses, rows, settings }: ParameterTable): string {
  const notes: string[] = [];
  /** The number under which something is said below the table. */
  const note = (text: string): string => {
    if (!notes.includes(text)) notes.push(text);
    return `[${notes.indexOf(text) + 1}]`;
  };
  const figures = rows.map(({ row, trained, withMeanHead, stored, partial, printed, verdict }) => {
    const marks = [
      ...(verdict ? [note(partial ? `${verdict}: ${whole(partial.count)} numbers` : verdict)] : []),
      ...(stored === trained ? [] : [note(`${whole(stored)} numbers are stored, with those that never train`)]),
    ];
    return [row, whole(trained), whole(withMeanHead), printed.toFixed(2), marks.join(' ')];
  });
  const checks = settings.map(({ table, models, hidden, withHead, count, printed, agrees }) => [
    `Table ${table}`,
    models,
    `${hidden}`,
    whole(count),
    withHead ? 'yes' : 'no',
    printed.toFixed(2),
    agrees ? 'agrees' : 'disagrees',
  ]);
  const parts = [
    wrapped(
      `Numbers trained in ${student}; in rows with a loss in their name, those in ${teacher} as well.${
        blocks === ALL_BLOCKS ? '' : ` Of their blocks, ${blocksInWords(blocks)}.`
      }`,
    ),
    table([['row', 'without head', 'with mean head', 'printed, M', 'which is'], ...figures], [0, 4]),
    notes.map((text, i) => wrapped(`[${i + 1}] ${text}`)).join('\n'),
    wrapped(`A head is counted for ${meanClasses.toFixed(2)} classes, the mean of Table 3's 19 tasks.`),
    'Parallel adapters in the other tables, for the models they name:',
    table([['', 'models', 'hidden', 'count', 'with head', 'printed, M', ''], ...checks], [0, 1, 6]),
  ];
  return `${parts.join('\n\n')}\n`;
}
