import { constant, input } from '../graph/ops/index.js';
import { type Shape, size } from '../graph/tensor.js';
import { traceBackbone } from './architecture.js';
import type { BackboneConfig } from './backbone.js';

/** Every tensor a backbone of these sizes asks for. Asks the tracing code itself, so that no list of names has to be kept. */
export function weightShapes(config: BackboneConfig): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  const note = (name: string, shape: Shape) => {
    shapes.set(name, shape);
    return constant(shape, { kind: 'file', path: name, offset: 0, load: () => new Float32Array(size(shape)) });
  };
  const images = input('images', [1, config.channels, config.imageSize, config.imageSize]);
  traceBackbone(config, note, {}, { images, dropPath: null });
  return shapes;
}
