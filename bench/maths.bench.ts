import type { Bench } from './harness.ts';
import { fp8Figures, fp8Title } from './maths/fp8.ts';

export const bench: Bench = {
  title: fp8Title,
  run: (log) => fp8Figures(log),
};
