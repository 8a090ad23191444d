import { fromFloat32 } from '@musubi/safetensors';
import type { TensorInfo, TensorStore, TensorToWrite } from '@musubi/safetensors';
import { LoraError } from './errors.ts';
import { hashTensors } from './hashes.ts';
import { isFloat } from './internal/rounding.ts';

export interface PostHocEmaOptions {
  /** weight of what has gathered so far against the next file, in [0, 1], default 0.95 */
  readonly beta?: number;
  /** the last such weight, reached linearly; default `beta` */
  readonly beta2?: number | null;
  /** width of the averaging relative to the length of the run, in (0, 1/√12): a power function instead of the betas */
  readonly sigmaRel?: number | null;
}

export interface AveragedLora {
  readonly tensors: readonly TensorToWrite[];
  /** those of the newest file with new hashes; undefined when it has none */
  readonly metadata: Readonly<Record<string, string>> | undefined;
  /** one for each file but the first */
  readonly betas: readonly number[];
}

/** √(1/12): the width of a plain mean, beyond which no power function goes. */
const LARGEST_SIGMA_REL = 1 / Math.sqrt(12);

/**
 * The running average of saved adapters, made after training (Karras et al. 2023, arXiv 2312.02696, §3).
 *
 *     W ← file₀,   W ← β_i·W + (1 − β_i)·file_{i+1}     in float32, rounded once at the end
 *
 * @param files at least one, the oldest first
 * @returns tensors in the types of the first file; whole numbers are those of the first file
 * @throws {LoraError} `AVERAGE_OPTION`, `NOT_THE_SAME_ADAPTER` when keys, shapes or alphas differ
 */
export async function postHocEma(
  files: readonly Pick<TensorStore, 'tensors' | 'metadata' | 'read' | 'readFloat32'>[],
  options: PostHocEmaOptions = {},
): Promise<AveragedLora> {
  const [first] = files;
  if (!first) {
    throw new LoraError('AVERAGE_OPTION', 'there is no file to average.', 'Give two or more.', { option: 'path' });
  }
  const betas = emaBetas(files.length, options);
  for (const [index, file] of files.entries()) await assertSameAdapter(first, file, index);
  const tensors = [...first.tensors.values()].map((info): TensorToWrite => ({
    name: info.name,
    dtype: info.dtype,
    shape: info.shape,
    data: () => average(files, info, betas),
  }));
  const metadata = files.at(-1)!.metadata;
  if (Object.keys(metadata).length === 0) return { tensors, metadata: undefined, betas };
  const { tensors: hashed, ...hashes } = await hashTensors(tensors, metadata);
  return { tensors: hashed, metadata: { ...metadata, ...hashes }, betas };
}

/**
 * The weights β of `count` files, one for each but the first.
 *
 *     linear: β_i = β + (β₂ − β)·i / (count − 2),   power: β_i = (1 − 1/(i + 1))^(γ + 1)
 *
 * @throws {LoraError} `AVERAGE_OPTION`
 */
export function emaBetas(count: number, { beta = 0.95, beta2, sigmaRel }: PostHocEmaOptions = {}): number[] {
  if (!Number.isSafeInteger(count) || count < 1) {
    const problem = `${count} files cannot be averaged.`;
    throw new LoraError('AVERAGE_OPTION', problem, 'Give two or more.', { option: 'path', found: count });
  }
  const last = beta2 ?? beta;
  assertShare('beta', beta);
  assertShare('beta2', last);
  const merges = Math.max(0, count - 1);
  if (sigmaRel != null) {
    const exponent = gammaOfSigmaRel(sigmaRel) + 1;
    return Array.from({ length: merges }, (_, i) => (1 - 1 / (i + 1)) ** exponent);
  }
  if (merges === 1) return [beta];
  return Array.from({ length: merges }, (_, i) => beta + (last - beta) * (i / (merges - 1)));
}

/**
 * The exponent γ of the power function of a relative width (Karras et al. 2023, algorithm 2): the largest real root of
 *
 *     γ³ + 7γ² + (16 − σ⁻²)·γ + (12 − σ⁻²) = 0
 *
 * @param sigmaRel in (0, 1/√12 ≈ 0.2887)
 * @throws {LoraError} `AVERAGE_OPTION`
 */
export function gammaOfSigmaRel(sigmaRel: number): number {
  if (!(sigmaRel > 0 && sigmaRel < LARGEST_SIGMA_REL)) {
    throw new LoraError(
      'AVERAGE_OPTION',
      `sigma_rel = ${sigmaRel} has no power function.`,
      `Use a number above 0 and below 1/√12 ≈ ${LARGEST_SIGMA_REL.toFixed(4)}, e.g. 0.2.`,
      { option: 'sigma_rel', found: sigmaRel },
    );
  }
  const t = sigmaRel ** -2;
  // The cubic is convex for γ > 0 and positive here, so Newton's steps fall to its largest root.
  let gamma = Math.sqrt(t) + 1;
  for (let i = 0; i < 100; i++) {
    const step = (((gamma + 7) * gamma + 16 - t) * gamma + 12 - t) / ((3 * gamma + 14) * gamma + 16 - t);
    gamma -= step;
    if (Math.abs(step) <= 1e-15 * gamma) break;
  }
  return gamma;
}

function assertShare(option: string, value: number): void {
  if (value >= 0 && value <= 1) return;
  throw new LoraError(
    'AVERAGE_OPTION',
    `${option} = ${value} is not a share.`,
    'Use a number from 0 to 1, e.g. 0.95.',
    {
      option,
      found: value,
    },
  );
}

type File = Parameters<typeof postHocEma>[0][number];

async function average(
  files: readonly File[],
  { name, dtype }: TensorInfo,
  betas: readonly number[],
): Promise<Uint8Array> {
  const [first, ...later] = files;
  if (!isFloat(dtype) || name.endsWith('.alpha')) return first!.read(name);
  const sum = await first!.readFloat32(name);
  for (const [i, file] of later.entries()) {
    const beta = Math.fround(betas[i]!);
    const rest = Math.fround(1 - betas[i]!);
    const next = await file.readFloat32(name);
    for (let j = 0; j < sum.length; j++) sum[j] = Math.fround(sum[j]! * beta) + Math.fround(next[j]! * rest);
  }
  return fromFloat32(sum, dtype);
}

async function assertSameAdapter(first: File, file: File, index: number): Promise<void> {
  if (file === first) return;
  const differ = (what: string, module: string): LoraError =>
    new LoraError(
      'NOT_THE_SAME_ADAPTER',
      `file ${index + 1} differs from the first: ${what}.`,
      'Average files of one training run, with equal ranks and alphas.',
      { module },
    );
  for (const { name, shape, dtype } of file.tensors.values()) {
    const expected = first.tensors.get(name);
    if (!expected) throw differ(`only it has "${name}"`, name);
    if (expected.shape.join() !== shape.join()) {
      throw differ(`"${name}" is [${shape.join(', ')}], not [${expected.shape.join(', ')}]`, name);
    }
    if (!name.endsWith('.alpha') || !isFloat(dtype)) continue;
    const [[a = 0], [b = 0]] = [await first.readFloat32(name), await file.readFloat32(name)];
    if (Math.abs(a - b) > 1e-8 + 1e-5 * Math.abs(b)) throw differ(`"${name}" is ${b}, not ${a}`, name);
  }
  const missing = [...first.tensors.keys()].find((name) => !file.tensors.has(name));
  if (missing !== undefined) throw differ(`it lacks "${missing}"`, missing);
}
