/** What goes between a page and the Worker that reads pictures and runs the model. */
import type { PixelImage } from '../../data/pixel-image.js';
import type { ImageSize } from '../../image-size.js';
import type { Request } from '../../runtime/web/protocol.js';

/** An image as it goes over. */
export type SentImage = Blob | Uint8Array | ImageBitmap | PixelImage;

export type ClassifierRequest =
  | Request
  /** Reads an image, and resizes it to bytes [3, height, width]. */
  | { kind: 'image'; image: SentImage; size: ImageSize; orient: boolean; name: string };
