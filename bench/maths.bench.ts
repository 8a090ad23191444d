import type { Bench, Figure } from './harness.ts';

import { adamwFigures } from './maths/adamw.ts';
import { fp8Figures, fp8Title } from './maths/fp8.ts';
import { samplerFigures } from './maths/samplers.ts';

const parts: readonly ((log: (line: string) => void) => Promise<readonly Figure[]>)[] = [
  fp8Figures,
  () => adamwFigures(),
  () => samplerFigures(),
];

export const bench: Bench = {
  title: `${fp8Title}; AdamW of 8 million parameters beside the memory, a million draws of each sampler, medians`,
  async run(log) {
    const figures: Figure[] = [];
    for (const part of parts) figures.push(...(await part(log)));
    return figures;
  },
};
