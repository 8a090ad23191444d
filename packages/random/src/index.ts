export { TorchGenerator } from './torch-generator.ts';
export type { GeneratorState } from './torch-generator.ts';
export type { NormalDtype } from './torch-normal.ts';
export { PythonRandom } from './python-random.ts';
export type { MersenneTwisterState } from './mersenne-twister.ts';
export { RandomError } from './errors.ts';
export type { RandomErrorCode } from './errors.ts';
