/** Weights that are computed when a program is compiled, in memory until the program is loaded. */
import type { WeightSink } from '../../graph/emit.js';
import type { OnnxForms } from '../../graph/tensor.js';

/** What programs call them. No file has this name: the paths of weights in a tab end in an extension. */
const PATH = 'idat-computed-weights';

/** A sink, and what it has taken. */
export interface ComputedWeights extends WeightSink {
  /** All of it, one after the other; null where nothing was taken. */
  bytes(): Uint8Array | null;
}

/** @param forms what the device asks of programs */
export function computedWeights(forms: OnnxForms): ComputedWeights {
  const parts: Uint8Array[] = [];
  let end = 0;
  return {
    path: PATH,
    forms,
    append(bytes) {
      const offset = end;
      parts.push(bytes.slice()); // what is appended may be a view of something that goes on changing
      end += bytes.length;
      return offset;
    },
    bytes() {
      if (end === 0) return null;
      const all = new Uint8Array(end);
      let at = 0;
      for (const part of parts.splice(0)) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    },
  };
}
