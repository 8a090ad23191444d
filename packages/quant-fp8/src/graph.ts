export { dequantizeFp8 } from './graph/dequantize.ts';
export type { DequantizeOptions } from './graph/dequantize.ts';
export { fp8Source } from './graph/fp8-source.ts';
