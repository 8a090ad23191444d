import { loadKernels } from './kernels.ts';
import type { Kernels } from './kernels.ts';

const f32 = Math.fround;

/** Numbers of one step, float32. */
export interface AdamFactors {
  /** 1 − lr·wd, or 1 */
  readonly keep: number;
  /** wd where it is added to the gradient, or 0 */
  readonly decay: number;
  readonly firstShare: number;
  readonly secondKeep: number;
  readonly secondShare: number;
  /** −lr/(1 − β₁ᵗ)·√(1 − β₂ᵗ) */
  readonly scale: number;
  /** eps·√(1 − β₂ᵗ) */
  readonly smallest: number;
}

/** The update that `adamRule` describes, of arrays of one length. Both ways of doing it give the same bits. */
export function adamStep(
  p: Float32Array,
  gradient: Float32Array,
  m: Float32Array,
  v: Float32Array,
  factors: AdamFactors,
): void {
  const kernels = loadKernels();
  if (kernels) adamStepFast(kernels, p, gradient, m, v, factors);
  else adamStepPlain(p, gradient, m, v, factors);
}

/** In WebAssembly, which sees only its own memory: pieces are copied into it and back, within the cache. */
export function adamStepFast(
  { adamStep: stepRegions, regions }: Kernels,
  p: Float32Array,
  gradient: Float32Array,
  m: Float32Array,
  v: Float32Array,
  factors: AdamFactors,
): void {
  const { keep, decay, firstShare, secondKeep, secondShare, scale, smallest } = factors;
  const [pHere, gradientHere, mHere, vHere] = regions;
  for (let start = 0; start < p.length; start += pHere.length) {
    const count = Math.min(pHere.length, p.length - start);
    const end = start + count;
    pHere.set(p.subarray(start, end));
    gradientHere.set(gradient.subarray(start, end));
    mHere.set(m.subarray(start, end));
    vHere.set(v.subarray(start, end));
    stepRegions(count, keep, decay, firstShare, secondKeep, secondShare, scale, smallest);
    p.set(pHere.subarray(0, count), start);
    m.set(mHere.subarray(0, count), start);
    v.set(vHere.subarray(0, count), start);
  }
}

/** Rounds every operation to float32, which costs time here and saves it in WebAssembly. */
export function adamStepPlain(
  p: Float32Array,
  gradient: Float32Array,
  m: Float32Array,
  v: Float32Array,
  factors: AdamFactors,
): void {
  const { keep, decay, firstShare, secondKeep, secondShare, scale, smallest } = factors;
  for (let i = 0; i < p.length; i++) {
    const g = f32(gradient[i]! + f32(decay * p[i]!));
    const first = f32(m[i]! + f32(firstShare * f32(g - m[i]!)));
    const second = f32(f32(v[i]! * secondKeep) + f32(f32(secondShare * g) * g));
    m[i] = first;
    v[i] = second;
    p[i] = f32(p[i]! * keep) + f32(f32(scale * first) / f32(f32(Math.sqrt(second)) + smallest));
  }
}
