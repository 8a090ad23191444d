import type { Provider } from '../../packages/runtime/src/index.ts';

/** How base weights are stored. What is trained is float32 in all of them. */
export const bases = ['float32', 'fp16', 'bf16', 'fp8', 'int8'] as const;
export type BaseName = (typeof bases)[number];

/** What is measured, each in a process of its own. */
export const parts = [
  ...bases.map((base) => `golden_${base}` as const),
  'golden_tf32',
  'run',
  'run_fp16',
  'run_bf16',
  'products',
  ...bases.map((base) => `step_${base}` as const),
] as const;
export type PartName = (typeof parts)[number];

export interface PartRequest {
  readonly part: PartName;
  readonly device: Provider;
  /** Where what a part writes goes. */
  readonly folder: string;
  /** Sizes for trying the bench. */
  readonly isSmall: boolean;
}

/** Numbers are figures; texts tell what a number cannot. */
export type Measured = Readonly<Record<string, number | string>>;
