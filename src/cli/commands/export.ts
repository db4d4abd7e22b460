/** idat export: a trained model for others' runtimes. */
import { Command, Option } from 'commander';
import { EXPORT_FORMATS, type ExportOptions, type ExportResult, exportRun } from '../../index.js';
import { STUDENT_PLACE, wholeNumber } from '../arguments.js';
import { shortPath } from '../describe-run.js';
import { importMethod, METHOD_FILE } from '../extension-file.js';
import { facts, percent } from '../format.js';
import { print } from '../terminal.js';
import { withProgress } from '../with-progress.js';

type ExportFlags = Omit<ExportOptions, 'onProgress' | 'signal' | 'data'> & {
  data?: string;
  method?: string;
  json?: true;
};

export const exportCommand = new Command('export')
  .description(
    'a trained model as ONNX for browsers, phones, Python and Node, checked against the engine that trained it',
  )
  .argument('<run>', 'its run directory')
  .requiredOption('--out <folder>', 'the folder to make')
  .addOption(
    new Option('--format <name>', 'one ONNX file, or a folder that transformers.js loads')
      .choices([...EXPORT_FORMATS])
      .default('onnx'),
  )
  .addOption(
    new Option('--quantize <type>', 'large frozen weights in 8 bits: smaller and faster, not exact').choices(['int8']),
  )
  .option('--adapter-input', 'keep what was trained in a small file of its own, which is an input of the model')
  .addOption(
    new Option(
      '--resize <by>',
      'by the graph, as in training (the default for transformers.js), or by whoever runs it',
    ).choices(['graph', 'caller']),
  )
  .option('--data <path>', 'check on another data set of the same classes, in place of the run’s own')
  .option('--images <number>', 'check on so many images at most (256)', wholeNumber)
  .addOption(STUDENT_PLACE())
  .addOption(METHOD_FILE())
  .option('--json', 'print what was written and how it was checked as one JSON object')
  .action(async (run: string, { method, json, ...options }: ExportFlags) => {
    if (method !== undefined) await importMethod(method);
    const notice = 'stopping; nothing will have been written';
    const result = await withProgress((control) => exportRun(run, { ...options, ...control }), undefined, notice);
    print(json ? `${JSON.stringify(result)}\n` : `${facts(told(result))}\n`);
  });

const megabytes = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
const share = ({ correct, total }: { correct: number; total: number }): string =>
  total === 0 ? 'not measured' : `${percent(correct / total)} (${correct} of ${total})`;
const alike = ({ same, images }: { same: number; images: number }): string =>
  `${percent(same / images)} (${same} of ${images})`;

function told({ path, files, licence, format, checked }: ExportResult): Record<string, string> {
  const { int8, resized, on, deviation, largest } = checked;
  const apart = `logits apart by at most ${deviation.toExponential(1)} (the largest is ${largest.toFixed(1)})`;
  return {
    folder: shortPath(path),
    ...Object.fromEntries(files.map(({ name, bytes }) => [name, megabytes(bytes)])),
    checked: `against the training engine on ${checked.images} images of ${on}`,
    'same class': `${alike(checked)}, ${apart}`,
    ...(int8 && quantised(int8, checked.counted)),
    ...(resized && {
      'at their own size': `${alike(resized)}; top-1 ${share(resized.recognised)}, idat ${share(resized.engine)}`,
    }),
    licence: licence.join(' '),
    use:
      format === 'onnx'
        ? 'any ONNX Runtime; docs/deploy.md has it for Node, Python and browsers'
        : `pipeline('image-classification', '${shortPath(path)}'), see docs/deploy.md`,
  };
}

function quantised(
  { float32, int8, threads }: NonNullable<ExportResult['checked']['int8']>,
  counted: string,
): Record<string, string> {
  return {
    size: `${megabytes(int8.bytes)} in place of ${megabytes(float32.bytes)}`,
    speed: `${int8.msPerImage.toFixed(2)} ms for an image in place of ${float32.msPerImage.toFixed(2)}, on ${threads} thread(s)`,
    accuracy: `${share(int8.recognised)} in place of ${share(float32.recognised)} of the ${counted}`,
  };
}
