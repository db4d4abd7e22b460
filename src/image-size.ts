/** Sizes of what a model reads, in pixels. */

/** The side of a square, or height and width of what is none. */
export type ImageSize = number | readonly [height: number, width: number];

export const sidesOf = (size: ImageSize): readonly [height: number, width: number] =>
  typeof size === 'number' ? [size, size] : size;

/** Squares are written in one way: as their side. */
export const imageSizeOf = (height: number, width: number): ImageSize => (height === width ? height : [height, width]);

export const pixelsOf = (size: ImageSize): number => {
  const [height, width] = sidesOf(size);
  return height * width;
};

export const sameImageSize = (a: ImageSize, b: ImageSize): boolean => `${sidesOf(a)}` === `${sidesOf(b)}`;

/** `224`, or `160x224`: height first, as in timm's `img_size`. */
export const imageSizeText = (size: ImageSize): string => (typeof size === 'number' ? `${size}` : size.join('x'));

/** The reverse; null for what is no size. */
export function parseImageSize(text: string): ImageSize | null {
  const [, height, width] = /^(\d{1,6})(?:[x×](\d{1,6}))?$/i.exec(text.trim()) ?? [];
  if (height === undefined) return null;
  return imageSizeOf(Number(height), Number(width ?? height));
}
