/** idat analyse: what a trained run has learned, as numbers and pictures. */
import { basename, dirname } from 'node:path';
import { Command } from 'commander';
import { ANALYSES, type AnalysisName, type AnalysisPart, analyse } from '../../analysis/node/analyse.js';
import { STUDENT_PLACE, wholeNumber } from '../arguments.js';
import { shortPath } from '../describe-run.js';
import { importMethod, METHOD_FILE } from '../extension-file.js';
import { oneLine, table } from '../format.js';
import { print } from '../terminal.js';
import { withProgress } from '../with-progress.js';

interface AnalyseFlags {
  out?: string;
  only?: string[];
  images?: string[];
  rollout?: true;
  points: number;
  seed: number;
  data?: string;
  student?: string;
  teacher?: string;
  cacheDir?: string;
  method?: string;
  json?: true;
}

export const analyseRun = new Command('analyse')
  .alias('analyze')
  .description(
    'weights, attention, maps of features, confusion, calibration and more of a trained run, as pictures and JSON',
  )
  .argument('<run>', 'its run directory')
  .option('--out <folder>', 'where the files go (default: the folder analysis in the run)')
  .option('--only <list>', `some of ${ANALYSES.join(', ')}; separated by commas`, (text: string) => text.split(','))
  .option('--images <files...>', 'images whose attention is shown (default: a test image of each of six classes)')
  .option('--rollout', 'also follow attention through all blocks')
  .option('--points <n>', 'most images on the maps of t-SNE and UMAP', wholeNumber, 1000)
  .option('--seed <n>', 'of the maps', Number, 0)
  .option('--data <path>', 'another data set of the same classes')
  .addOption(STUDENT_PLACE())
  .option('--teacher <path>', 'where the teacher’s frozen weights are now, if not where they were in training')
  .option('--cache-dir <folder>', 'keep decoded images here for the next time')
  .addOption(METHOD_FILE())
  .option('--json', 'print what was found as one JSON object')
  .action(async (run: string, flags: AnalyseFlags) => {
    const { method, json, only, ...options } = flags;
    if (method !== undefined) await importMethod(method);
    const { parts } = await withProgress((control) =>
      analyse(run, { ...options, ...(only && { only: only as AnalysisName[] }), ...control }),
    );
    if (json) {
      const found = parts.map(({ name, says, report, files }) => ({ name, says, files, ...report }));
      print(`${JSON.stringify({ analyses: found })}\n`);
      return;
    }
    print(
      `${table(
        parts.map((part) => [part.name, part.says]),
        [0, 1],
      )}\n\n`,
    );
    print(`${oneLine(filesOf(parts))}\n`);
  });

/** The folder, with each picture once. */
function filesOf(parts: readonly AnalysisPart[]): string {
  const files = parts.flatMap((part) => part.files);
  const pictures = files.filter((file) => file.endsWith('.png')).map((file) => basename(file, '.png'));
  const folder = shortPath(dirname(files[0]!));
  return `in ${folder}: ${pictures.join(', ')} (each .svg and .png), and the numbers as .json`;
}
