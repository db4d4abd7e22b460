/** How many heads a published ViT has: no tensor shows it, and not all are 64 wide. */

/** What tells one published size from another. */
export interface HeadlessSizes {
  readonly width: number;
  readonly depth: number;
  /** Rows of fc1. */
  readonly mlpWidth: number;
}

interface KnownSizes extends HeadlessSizes {
  readonly heads: number;
}

const known = (width: number, depth: number, mlpWidth: number, heads: number): KnownSizes => ({
  width,
  depth,
  mlpWidth,
  heads,
});

/** @see timm's models/vision_transformer.py and eva.py, and the model cards of transformers */
const PUBLISHED: readonly KnownSizes[] = [
  known(64, 6, 192, 2), // timm's test_vit
  known(64, 8, 192, 2),
  known(96, 9, 192, 3), // and its test_vit3
  known(192, 12, 768, 3), // Ti
  known(256, 10, 1024, 4), // CLIP's xsmall
  known(256, 14, 1280, 4), // wee
  known(256, 16, 1280, 4), // pwee
  known(320, 14, 1792, 5), // little
  known(384, 12, 1536, 6), // S
  known(384, 12, 3072, 6), // DINOv3 S+: two products in one
  known(384, 36, 1536, 6),
  known(512, 12, 2048, 8), // medium
  known(512, 20, 2048, 8),
  known(640, 12, 2560, 10), // betwixt
  known(768, 12, 3072, 12), // B
  known(768, 8, 2304, 8), // timm's small of before AugReg
  known(832, 21, 2176, 13), // so150m, second version
  known(896, 12, 3584, 14), // CLIP B+
  known(896, 18, 2304, 14), // so150m
  known(1024, 24, 4096, 16), // L
  known(1152, 27, 4304, 16), // so400m
  known(1280, 32, 5120, 16), // H
  known(1280, 32, 10240, 20), // DINOv3 H+
  known(1408, 40, 6144, 16), // g
  known(1536, 40, 8192, 24), // DINOv2 g
  known(1536, 40, 6144, 16), // SigLIP 2 g-opt
  known(1664, 48, 8192, 16), // G
  known(4096, 40, 16384, 32), // DINOv3 7B
];

/**
 * The heads of a ViT of which nobody says them. A size that was published has those it was published with; another depth
 * of a known width has a head for each 64 numbers where all published ones of that width have.
 *
 * @returns undefined where there is nothing to go by
 */
export function publishedHeads({ width, depth, mlpWidth }: HeadlessSizes): number | undefined {
  const ofWidth = PUBLISHED.filter((sizes) => sizes.width === width);
  const sameMlp = ofWidth.filter((sizes) => sizes.mlpWidth === mlpWidth);
  const sameDepth = ofWidth.filter((sizes) => sizes.depth === depth);
  const exact = sameMlp.find((sizes) => sizes.depth === depth);
  if (exact) return exact.heads;
  const byDepth = agreedOn(sameDepth);
  if (byDepth !== undefined) return byDepth;
  const others = sameMlp.length > 0 ? sameMlp : ofWidth;
  return agreedOn(others) === width / 64 ? width / 64 : undefined;
}

/** What all have; undefined when they differ or there are none. */
function agreedOn(sizes: readonly KnownSizes[]): number | undefined {
  const [first, ...rest] = sizes;
  return rest.every(({ heads }) => heads === first!.heads) ? first?.heads : undefined;
}
