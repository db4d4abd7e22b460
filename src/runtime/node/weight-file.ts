/** A temporary file for weights that are computed when a program is compiled and read by the runtime when it loads it. */
import { closeSync, mkdtempSync, openSync, realpathSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IdatError } from '../../errors.js';
import { identityText, thisProcess } from '../../files/node/process-identity.js';
import type { WeightSink } from '../../graph/emit.js';
import type { OnnxForms } from '../../graph/tensor.js';

/** Weights start at multiples of this: what the runtime asks of a file it maps into memory. */
const ALIGNMENT_BYTES = 4096;

/**
 * Lends a file to compile into. It is removed in the end: a program that has been loaded keeps what it needs.
 * @param forms what the device asks of programs
 * @throws IdatError `runtime.weights` when the temporary folder takes no more
 */
export async function withWeightFile<T>(
  action: (sink: WeightSink) => Promise<T>,
  forms: OnnxForms = 'usual',
): Promise<T> {
  const file = createWeightFile(forms);
  try {
    return await action(file);
  } finally {
    file.remove();
  }
}

function createWeightFile(forms: OnnxForms): WeightSink & { remove(): void } {
  const folder = tmpdir();
  const fail = (error: unknown): never => {
    const { code } = error as NodeJS.ErrnoException;
    const reason = `${folder}: cannot keep folded weights here (${code}); free some space or set TMPDIR to another folder`;
    throw new IdatError('runtime.weights', reason, { cause: error });
  };
  let own: string | undefined;
  let file: number;
  try {
    own = mkdtempSync(join(realpathSync(folder), `idat-weights-${identityText(thisProcess())}-`));
    file = openSync(join(own, 'weights.bin'), 'wx');
  } catch (error) {
    if (own !== undefined) rmSync(own, { recursive: true, force: true });
    return fail(error);
  }
  const path = join(own, 'weights.bin');
  let end = 0;
  return {
    path,
    forms,
    append(bytes) {
      const offset = Math.ceil(end / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
      try {
        for (let done = 0; done < bytes.length; ) {
          done += writeSync(file, bytes, done, bytes.length - done, offset + done);
        }
      } catch (error) {
        fail(error);
      }
      end = offset + bytes.length;
      return offset;
    },
    remove() {
      closeSync(file);
      rmSync(own, { recursive: true, force: true });
    },
  };
}
