/** The backbone's own tensors, counted. */
import { tensorShapes } from '../../backbones/architecture.js';
import type { BackboneConfig } from '../../backbones/backbone.js';
import { size } from '../../graph/tensor.js';

/** Numbers in those of a backbone's tensors whose name is wanted. */
export function countOf(config: BackboneConfig, wanted: (name: string) => boolean): number {
  let numbers = 0;
  for (const [name, shape] of tensorShapes(config)) if (wanted(name)) numbers += size(shape);
  return numbers;
}
