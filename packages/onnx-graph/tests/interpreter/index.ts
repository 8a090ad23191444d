export { fromHost, toHost } from './dtypes.ts';
export { erf } from './erf.ts';
export { implementations, interpret, interpretAll } from './interpret.ts';
export { createRandom, randomTensor } from './random.ts';
export { type Tensor64, tensor } from './tensor.ts';
