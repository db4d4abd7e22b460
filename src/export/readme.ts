/** What lies beside an exported model: how to use it, how it was checked, under which licences. */
import type { ExportFacts } from '../onnx/metadata.js';
import { plain } from '../report/markdown.js';
import type { Checked } from './check-export.js';
import type { ExportFormat } from './export-plan.js';

export interface ReadmeFacts {
  readonly format: ExportFormat;
  /** Of the model, below the folder. */
  readonly file: string;
  readonly precision: string;
  readonly method: string;
  readonly licence: readonly string[];
  readonly checked: Checked;
  readonly facts: ExportFacts;
  readonly classes: readonly string[];
}

/** Markdown. */
export function exportReadme({
  file,
  precision,
  method,
  licence,
  checked,
  facts,
  classes,
  format,
}: ReadmeFacts): string {
  const { backbone, input, adapterInput, run } = facts;
  const use =
    format === 'onnx'
      ? `\`${file}\` runs in any ONNX Runtime: input \`${input}\`, outputs \`logits\` and \`probabilities\` [batch, classes] and \`features\`, which the head reads.`
      : `\`pipeline('image-classification', …)\` of @huggingface/transformers loads this folder. Its graph: input \`${input}\`.`;
  const adapter = adapterInput
    ? [
        'What was trained is the input `parameters`, the tensor of that name in `adapter.safetensors`, whose metadata name its classes.',
      ]
    : [];
  return `${[
    `# ${plain(backbone.name)} tuned by ${plain(method)}`,
    [use, ...adapter].join(' '),
    `Classes, in the order of the outputs: ${plain(classes.join(', '))}.`,
    `Weights in ${precision}. Top-1 on the test images of the run, before the export: ${run.result ? `${run.result.correct} of ${run.result.total}` : 'not measured'}.`,
    plain(
      `Held against the engine that trained it on ${checked.images} images of ${checked.on}: the same class for ${checked.same}, logits apart by at most ${checked.deviation.toExponential(1)}.`,
    ),
    '## Licences',
    plain(licence.join(' ')),
  ].join('\n\n')}\n`;
}
