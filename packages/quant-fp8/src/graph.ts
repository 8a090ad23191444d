export { dequantizeFp8 } from './graph/dequantize.ts';
export type { DequantizeOptions } from './graph/dequantize.ts';
export { lowerInt8 } from './graph/int8.ts';
export type { Int8Options } from './graph/int8.ts';
export { fp8Source } from './graph/fp8-source.ts';
