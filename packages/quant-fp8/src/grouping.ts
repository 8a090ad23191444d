import { Fp8Error } from './errors.ts';

/** What shares a scale: the whole weight, one of its rows, or a block within a row. */
export type Fp8Mode = 'tensor' | 'channel' | 'block';

export const FP8_MODES = ['tensor', 'channel', 'block'] as const satisfies readonly Fp8Mode[];

/** Numbers that share a scale when nothing else is asked for. */
export const DEFAULT_BLOCK_SIZE = 64;

/** How the numbers of a weight are divided among its scales: `groups` runs of `size` numbers in row-major order. */
export interface Grouping {
  readonly mode: Fp8Mode;
  readonly groups: number;
  readonly size: number;
  /** `[]` for tensor, `[out, 1]` for channel, `[out, in / size, 1]` for block */
  readonly scaleShape: readonly number[];
}

/**
 * The grouping of a weight, which falls back where its shape does not divide: `block` becomes `channel` where the last
 * axis is no multiple of the block size, and both become `tensor` where there are not two axes.
 *
 * @param shape of the weight, `[out, in]` for a linear layer
 * @param blockSize numbers of a row that share a scale in block mode, default 64
 * @throws {Fp8Error} `UNKNOWN_MODE`, `BLOCK_SIZE_INVALID`, `EMPTY_TENSOR`, `SHAPE_MISMATCH` for sizes that are none
 */
export function chooseGrouping(
  shape: readonly number[],
  mode: Fp8Mode,
  blockSize: number = DEFAULT_BLOCK_SIZE,
): Grouping {
  assertMode(mode, blockSize);
  assertShape(shape);
  const count = shape.reduce((product, size) => product * size, 1);
  if (count === 0) {
    throw new Fp8Error(
      'EMPTY_TENSOR',
      `a weight of shape [${shape.join(', ')}] holds no numbers.`,
      'Exclude it from quantization.',
    );
  }
  const [out = 1, width = 1] = shape;
  if (mode === 'tensor' || shape.length !== 2) return { mode: 'tensor', groups: 1, size: count, scaleShape: [] };
  if (mode === 'channel' || width % blockSize !== 0) {
    return { mode: 'channel', groups: out, size: width, scaleShape: [out, 1] };
  }
  return {
    mode: 'block',
    groups: count / blockSize,
    size: blockSize,
    scaleShape: [out, width / blockSize, 1],
  };
}

/** @throws {Fp8Error} `SHAPE_MISMATCH` for sizes that are none */
export function assertShape(shape: readonly number[]): void {
  if (shape.every((size) => Number.isSafeInteger(size) && size >= 0)) return;
  const found = `[${shape.join(', ')}]`;
  throw new Fp8Error('SHAPE_MISMATCH', `${found} is no shape.`, 'Give sizes as whole numbers.', { found });
}

/** @throws {Fp8Error} `UNKNOWN_MODE`, `BLOCK_SIZE_INVALID` */
export function assertMode(mode: Fp8Mode, blockSize: number): void {
  if (!FP8_MODES.includes(mode)) {
    const expected = FP8_MODES.join(', ');
    throw new Fp8Error('UNKNOWN_MODE', `"${String(mode)}" is no quantization mode.`, `Known are ${expected}.`, {
      found: String(mode),
      expected,
    });
  }
  if (!Number.isSafeInteger(blockSize) || blockSize < 1) {
    throw new Fp8Error('BLOCK_SIZE_INVALID', `a block of ${blockSize} numbers does not exist.`, 'Use 64.', {
      found: blockSize,
      expected: 'a whole number from 1',
    });
  }
}

/**
 * The grouping that a stored scale tells by its shape.
 *
 * @param shape of the weight
 * @param scaleShape `[]` or `[1]`, `[out, 1]`, `[out, blocks, 1]`
 * @throws {Fp8Error} `SHAPE_MISMATCH`
 */
export function groupingOf(shape: readonly number[], scaleShape: readonly number[], tensor?: string): Grouping {
  assertShape(shape);
  assertShape(scaleShape);
  const count = shape.reduce((product, size) => product * size, 1);
  const groups = scaleShape.reduce((product, size) => product * size, 1);
  const [out, blocks] = scaleShape;
  const isWhole = scaleShape.length === 0 || (scaleShape.length === 1 && out === 1);
  if (isWhole) return { mode: 'tensor', groups: 1, size: count, scaleShape };
  const isRows = shape.length === 2 && out === shape[0] && scaleShape.at(-1) === 1;
  if (isRows && scaleShape.length === 2) return { mode: 'channel', groups, size: count / groups, scaleShape };
  if (isRows && scaleShape.length === 3 && blocks && shape[1]! % blocks === 0) {
    return { mode: 'block', groups, size: count / groups, scaleShape };
  }
  throw new Fp8Error(
    'SHAPE_MISMATCH',
    `the scale${tensor === undefined ? '' : ` of ${tensor}`} has shape [${scaleShape.join(', ')}], ` +
      `which does not fit a weight [${shape.join(', ')}].`,
    'Scales are [], [out, 1] or [out, blocks, 1].',
    { ...(tensor === undefined ? {} : { tensor }), found: `[${scaleShape.join(', ')}]` },
  );
}
