import type { HostTensor } from '@musubi/onnx-graph';

/** Longest period of the sinusoids of time and position, in radians per step: frequencies fall from 1 to 1/10000. */
const base = 10_000;

/**
 * Sinusoidal embedding (Vaswani et al. 2017, §3.5), cosines first. Angles in float64: at time 1000 float32 would lose
 * four digits of them.
 *
 *     a_j = t·10000^(−2j/width),   [cos a₀ … cos a_{width/2−1}, sin a₀ …]
 *
 * @param times `[B]`, on the model's scale
 * @returns `[B, width]` float32
 */
export function timeSinusoids(times: ArrayLike<number>, width: number): HostTensor {
  const half = width / 2;
  const data = new Float32Array(times.length * width);
  for (let b = 0; b < times.length; b++) {
    for (let j = 0; j < half; j++) {
      const angle = (times[b] ?? 0) * base ** (-j / half);
      data[b * width + j] = Math.cos(angle);
      data[b * width + half + j] = Math.sin(angle);
    }
  }
  return { dtype: 'float32', shape: [times.length, width], data };
}

/**
 * Tables of the rotary embedding (Su et al. 2021) for tokens on a grid. The `c` complex numbers of a head are shared out:
 * `c − 2⌊c/3⌋` turn with the frame, `⌊c/3⌋` with the row, `⌊c/3⌋` with the column; the `j`-th of `r` by the angle
 * `position·10000^(−j/r)`.
 *
 * @param grid frames, rows and columns of tokens
 * @param complexes `c`, half the width of a head
 * @returns cosines and sines, each `[frames·rows·columns, c]` float32
 */
export function ropeTables(
  grid: readonly [number, number, number],
  complexes: number,
): { cos: HostTensor; sin: HostTensor } {
  const [frames, rows, columns] = grid;
  const third = Math.floor(complexes / 3);
  const tokens = frames * rows * columns;
  const table = (turn: (angle: number) => number): HostTensor => {
    const byFrame = axisTable(frames, complexes - 2 * third, turn);
    const byRow = axisTable(rows, third, turn);
    const byColumn = axisTable(columns, third, turn);
    const data = new Float32Array(tokens * complexes);
    for (let token = 0, at = 0; token < tokens; token++, at += complexes) {
      const [frame, row, column] = [
        Math.floor(token / (rows * columns)),
        Math.floor(token / columns) % rows,
        token % columns,
      ];
      data.set(byFrame[frame] ?? [], at);
      data.set(byRow[row] ?? [], at + complexes - 2 * third);
      data.set(byColumn[column] ?? [], at + complexes - third);
    }
    return { dtype: 'float32', shape: [tokens, complexes], data };
  };
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** `turn(position·10000^(−j/r))` for each position of an axis. */
function axisTable(length: number, r: number, turn: (angle: number) => number): Float32Array[] {
  const frequencies = Array.from({ length: r }, (_, j) => base ** (-j / r));
  return Array.from({ length }, (_, position) => Float32Array.from(frequencies, (f) => turn(position * f)));
}
