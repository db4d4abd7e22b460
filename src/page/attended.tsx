/** A picture with what the model looked at laid over it. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { overlay } from '../analysis/pictures.js';
import type { Seen } from './run-protocol.js';

const LONGER_SIDE = 160;

export function Attended({ picture, seen, label }: { picture: Blob; seen: Seen; label: string }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    let gone = false;
    void createImageBitmap(picture).then(
      (bitmap) => {
        if (!gone && canvas.current) draw(canvas.current, bitmap, seen);
        bitmap.close();
      },
      () => {},
    );
    return () => {
      gone = true;
    };
  }, [picture, seen]);
  return <canvas ref={canvas} width="1" height="1" role="img" aria-label={label} />;
}

function draw(canvas: HTMLCanvasElement, bitmap: ImageBitmap, { attention }: Seen): void {
  const scale = LONGER_SIDE / Math.max(bitmap.width, bitmap.height);
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Uint8Array(3 * canvas.width * canvas.height);
  for (let i = 0; i < pixels.length / 3; i++) for (let c = 0; c < 3; c++) pixels[3 * i + c] = image.data[4 * i + c]!;
  const drawn = overlay({ width: canvas.width, height: canvas.height, pixels }, attention.shares, attention.grid);
  for (let i = 0; i < pixels.length / 3; i++)
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = drawn.pixels[3 * i + c]!;
  context.putImageData(image, 0, 0);
}
