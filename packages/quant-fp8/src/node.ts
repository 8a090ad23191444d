export { dequantizeFile, quantizeFile } from './node/quantize-file.ts';
export type { FileOptions, QuantizeFileOptions } from './node/quantize-file.ts';
