/** idat params: what each method trains, beside the paper's figures. */
import { Command } from 'commander';
import { PAPER_STUDENT, PAPER_TEACHER, type ParameterTable, parameterTable } from '../../paper/parameter-table.js';
import { ALL_BLOCKS, blocksInWords } from '../../settings/blocks.js';
import { table } from '../format.js';
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
  const figures = rows.map(({ row, method, trained, withMeanHead, stored, partial, printed, verdict }) => [
    row,
    method,
    whole(trained),
    whole(withMeanHead),
    whole(stored),
    partial ? whole(partial.count) : '',
    printed.toFixed(2),
    verdict ?? '',
  ]);
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
    `Numbers trained in ${student}; in rows with a loss in their name, those in ${teacher} as well.${
      blocks === ALL_BLOCKS ? '' : ` Of their blocks, ${blocksInWords(blocks)}.`
    }`,
    table(
      [['row', 'method', 'without head', 'with mean head', 'stored', 'partial', 'printed, M', 'agrees'], ...figures],
      [0, 1, 7],
    ),
    `A head is counted for ${meanClasses.toFixed(2)} classes, the mean of Table 3's 19 tasks. Stored numbers include those that never train; partial ones leave out what the last column says.`,
    'Parallel adapters in the other tables, for the models they name:',
    table([['', 'models', 'hidden', 'count', 'with head', 'printed, M', ''], ...checks], [0, 1, 6]),
  ];
  return `${parts.join('\n\n')}\n`;
}
