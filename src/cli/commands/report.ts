/** idat report: a run or a sweep as one page to look at. */
import { Command } from 'commander';
import { ANALYSES, type AnalysisName } from '../../analysis/node/analyse.js';
import { type ReportOptions, report } from '../../export/report.js';
import { STUDENT_PLACE, wholeNumber } from '../arguments.js';
import { shortPath } from '../describe-run.js';
import { importMethod, METHOD_FILE } from '../extension-file.js';
import { facts } from '../format.js';
import { print, tell } from '../terminal.js';
import { withProgress } from '../with-progress.js';

interface ReportFlags extends Pick<ReportOptions, 'out' | 'against' | 'data' | 'student' | 'teacher' | 'cacheDir'> {
  only?: AnalysisName[];
  without?: AnalysisName[];
  points?: number;
  tensorboard?: string;
  method?: string;
  json?: true;
}

const names = (text: string): AnalysisName[] => text.split(',').filter((name) => name !== '') as AnalysisName[];

export const reportOf = new Command('report')
  .description('a run or a sweep as one HTML file to look at: curves, tables with intervals, pictures')
  .argument('<run|sweep>', 'a run’s directory, or the folder of a sweep')
  .option('--out <file>', 'the page (default: report.html in the folder)')
  .option('--only <list>', `of a run’s analyses only these: ${ANALYSES.join(', ')}; separated by commas`, names)
  .option('--without <list>', 'of a run’s analyses not these, such as umap,attention', names)
  .option('--against <row>', 'the row of a sweep that others are held against (default: the plan’s, or the first)')
  .option('--tensorboard <folder>', 'write the curves there as well, as event files of TensorBoard')
  .option('--data <path>', 'another data set of the same classes for the analyses of a run')
  .option('--points <n>', 'most images on the maps of t-SNE and UMAP (default: 1000)', wholeNumber)
  .addOption(STUDENT_PLACE())
  .option('--teacher <path>', 'where the teacher’s frozen weights are now, if not where they were in training')
  .option('--cache-dir <folder>', 'keep decoded images here for the next time')
  .addOption(METHOD_FILE())
  .option('--json', 'print what was written as one JSON object')
  .action(async (path: string, flags: ReportFlags) => {
    const { method, json, ...options } = flags;
    if (method !== undefined) await importMethod(method);
    const written = await withProgress((control) => report(path, { ...options, ...control }));
    if (json) {
      print(`${JSON.stringify(written)}\n`);
      return;
    }
    tell(written.missing.map((sentence) => `note: ${sentence}\n`).join(''));
    const { events } = written;
    print(
      `${facts({ report: shortPath(written.path), size: `${(written.bytes / 1e6).toFixed(2)} MB`, use: 'open it in a browser', ...(events.length > 0 && { tensorboard: `${events.length} event ${events.length === 1 ? 'file' : 'files'}; tensorboard --logdir ${shortPath(flags.tensorboard!)}` }) })}\n`,
    );
  });
