import type { TextEncoder } from '../text-encoder.ts';
import type { Umt5Config } from './config.ts';

import { inferUmt5Config, refuseOtherModels, umt5Xxl } from './config.ts';
import { umt5Encoder } from './model.ts';
import { umt5Parameters } from './parameters.ts';
import { prepareUmt5, splitUmt5 } from './prepare.ts';

/** The encoder of UMT5 (Chung et al. 2023, arXiv 2304.09151), by which Wan reads captions. */
export const umt5 = {
  longName: 'UMT5',
  published: umt5Xxl,
  /** Some files have `encoder.` in their keys; like the original, it is removed wherever it stands. */
  nameOf: (key) => key.replaceAll('encoder.', ''),
  refuseOthers: refuseOtherModels,
  inferConfig: inferUmt5Config,
  parameters: umt5Parameters,
  build: (params, config) => ({ embeddings: umt5Encoder(params, config) }),
  prepare: prepareUmt5,
  split: splitUmt5,
} as const satisfies TextEncoder<Umt5Config>;
